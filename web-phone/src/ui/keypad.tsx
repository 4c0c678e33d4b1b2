import type { Phone } from '../phone.ts';

const KEYS: readonly (readonly [key: string, letters: string, testId: string])[] = [
  ['1', '', 'key-1'],
  ['2', 'ABC', 'key-2'],
  ['3', 'DEF', 'key-3'],
  ['4', 'GHI', 'key-4'],
  ['5', 'JKL', 'key-5'],
  ['6', 'MNO', 'key-6'],
  ['7', 'PQRS', 'key-7'],
  ['8', 'TUV', 'key-8'],
  ['9', 'WXYZ', 'key-9'],
  ['*', '', 'key-star'],
  ['0', '+', 'key-0'],
  ['#', '', 'key-hash'],
];

const SPOKEN: Readonly<Record<string, string>> = { '*': 'star', '#': 'hash' };

export function Keypad({ phone, label }: { phone: Phone; label: string }) {
  return (
    <fieldset class="keypad" aria-label={label}>
      {KEYS.map(([key, letters, testId]) => (
        <button
          key={key}
          type="button"
          class="key"
          data-testid={testId}
          aria-label={SPOKEN[key] ?? key}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => phone.dialer.press(key)}
        >
          <span class="digit" data-symbol={key === '*' || key === '#'}>
            {key === '*' ? '∗' : key}
          </span>
          <span class="letters">{letters}</span>
        </button>
      ))}
    </fieldset>
  );
}
