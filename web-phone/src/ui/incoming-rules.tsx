import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Account } from '../account.ts';
import { ApiError, type ForwardWhen, type IncomingRules, type RulesChange } from '../session.ts';
import { Toggle } from './toggle.tsx';

const FORWARDS: readonly (readonly [ForwardWhen, string])[] = [
  ['always', 'All calls go to'],
  ['busy', 'Busy or declined'],
  ['noAnswer', 'No answer'],
];

/** What the server does with calls for this account, on all of its phones. */
export function IncomingRulesSet({ account }: { account: Account }) {
  const rules = useSignal<IncomingRules | undefined>(undefined);
  const problem = useSignal('');
  const take = (asked: Promise<IncomingRules>): void => {
    asked.then(
      (told) => {
        rules.value = told;
        problem.value = '';
      },
      (error: unknown) => {
        problem.value = (error instanceof ApiError && error.message) || 'The server does not answer.';
        rules.value = rules.value && { ...rules.value }; // what was typed gives way to what holds
      },
    );
  };
  useEffect(() => take(account.rules()), [account]);
  const change = (to: RulesChange): void => take(account.changeRules(to));
  const known = rules.value;
  return (
    <fieldset disabled={!known}>
      <legend>Incoming calls, on all your phones</legend>
      <Toggle
        label="Do not disturb"
        detail="Your phones stay silent, callers are told"
        checked={known?.doNotDisturb ?? false}
        onChange={(doNotDisturb) => change({ doNotDisturb })}
      />
      {FORWARDS.map(([when, label]) => (
        <label class="field" key={when}>
          <span>{label}</span>
          <input
            type="text"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder={when === 'always' ? 'Your phones' : 'Nobody else'}
            data-testid={`forward-${when}`}
            value={known?.forward[when] ?? ''}
            onChange={(event) => change({ forward: { [when]: event.currentTarget.value.trim() || null } })}
          />
        </label>
      ))}
      <p role="status">{problem.value}</p>
    </fieldset>
  );
}
