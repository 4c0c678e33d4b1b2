import { type AdminHandler, monotonicMs } from '@offhook/core/node';
import { isParty } from '../call/index.ts';
import {
  asDialled,
  builtIn,
  type CallFacts,
  type Decision,
  type RouteReport,
  Router,
  type RoutingDirectory,
} from '../routing/index.ts';
import type { UserSettings } from '../store/settings.ts';
import type { SipCore } from './core.ts';

export interface RoutingOptions {
  readonly core: SipCore;
  readonly isUser: (user: string) => boolean;
  readonly settings: (user: string) => UserSettings;
  /** The user's file; without one nothing is started. */
  readonly path: string | undefined;
  readonly log: { info(words: string): void; warn(words: string): void };
}

/** Routing as the part sees it: the router where there is a file, and the admin verb `route` in any case. */
export function openRouting({ core, isUser, settings, path, log }: RoutingOptions) {
  const phonesOf = (user: string) => core.registrar.lookup(user, monotonicMs()).length;
  const directory: RoutingDirectory = {
    isUser,
    group: (name) => core.directory.group(name),
    isTrunk: (name) => core.trunks.has(name),
    isSignedIn: (user) => phonesOf(user) > 0,
    isInCall: (user) => core.calls.calls().some((call) => isParty(call, user)),
  };
  const router = path === undefined ? undefined : new Router({ path, directory, log });
  const decide = (facts: CallFacts, atMs?: number) =>
    router ? router.route(facts, atMs) : Promise.resolve(builtIn(facts, directory, 'as called'));
  const route: AdminHandler = async (args): Promise<RouteReport> => {
    const { facts, atMs } = asked(args, { isUser, core });
    const routed = await decide(asDialled(facts, directory), atMs);
    const users = [...new Set(usersIn(routed.decision))];
    const phones = Object.fromEntries(users.map((user) => [user, phonesOf(user)]));
    const warnings = [...(router?.warnings ?? []), ...users.flatMap((user) => wishes(user, settings(user)))];
    return { ...routed, rules: router?.state ?? 'built-in', warnings, phones };
  };
  return { decide, verbs: { route }, router };
}

function asked(
  { from, to, trunk, at }: Record<string, unknown>,
  { isUser, core }: Pick<RoutingOptions, 'isUser' | 'core'>,
): { facts: CallFacts; atMs: number | undefined } {
  for (const [name, value] of Object.entries({ from, to }))
    if (typeof value !== 'string' || value === '' || value.length > 256) throw new Error(`'${name}' has to be a text`);
  const caller = from as string;
  const called = to as string;
  const atMs = at === undefined ? undefined : Date.parse(String(at));
  if (Number.isNaN(atMs)) throw new Error(`'${at}' is no time like 2026-12-24T20:00:00+01:00`);
  if (typeof trunk === 'string' && trunk !== '') {
    if (!core.trunks.has(trunk)) throw new Error(`there is no trunk '${trunk.slice(0, 64)}'`);
    return { facts: { trunk, from: caller, ...core.trunks.leadsTo(trunk, called) }, atMs };
  }
  if (!isUser(caller))
    throw new Error(`there is no user '${caller}'; a call from outside comes over a trunk: --trunk <name>`);
  return { facts: { account: caller, from: caller, to: called }, atMs };
}

/** What a user wants done with calls, which comes after routing. */
function wishes(user: string, { doNotDisturb, forward }: UserSettings): string[] {
  const { always, busy, noAnswer, noAnswerS } = forward;
  if (always !== undefined) return [`${user} forwards all calls to ${always}`];
  return [
    ...(doNotDisturb ? [`${user} does not want to be disturbed`] : []),
    ...(busy === undefined ? [] : [`${user} forwards to ${busy} when busy`]),
    ...(noAnswer === undefined ? [] : [`${user} forwards to ${noAnswer} when nobody answers for ${noAnswerS} s`]),
  ];
}

function usersIn(decision: Decision): string[] {
  if (decision.kind !== 'ring') return [];
  return decision.steps.flatMap(({ targets }) => targets.flatMap((one) => (one.kind === 'user' ? [one.user] : [])));
}
