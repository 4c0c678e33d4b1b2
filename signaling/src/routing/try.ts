import type { CallFacts, Routed } from './decision.ts';
import { Router } from './router.ts';

/** What `offhook route` is answered. */
export interface RouteReport extends Routed {
  /** Which rules have decided. */
  readonly rules: string;
  readonly warnings: readonly string[];
  /** How many phones of the users that would ring are there. */
  readonly phones: Readonly<Record<string, number>>;
}

/** Tries a file on one call without any server: every name counts as a user. Throws in words when the file can't be used. */
export async function tryRoutes(path: string, facts: CallFacts, atMs?: number): Promise<RouteReport> {
  const log = { info: () => {}, warn: () => {} };
  const directory = {
    isGuess: true,
    isUser: () => true,
    group: () => undefined,
    isSignedIn: () => true,
    isInCall: () => false,
  };
  const router = new Router({ path, directory, log });
  try {
    await router.loaded();
    const routed = await router.route(facts, atMs);
    return { ...routed, rules: router.state, warnings: router.warnings, phones: {} };
  } finally {
    await router.close();
  }
}
