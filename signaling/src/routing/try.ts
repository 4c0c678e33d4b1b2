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
  await using loaded = await load(path);
  const { router } = loaded;
  const routed = await router.route(facts, atMs);
  return { ...routed, rules: router.state, warnings: router.warnings, phones: {} };
}

/** Whether a file can be used: what is in it, in words; throws, in words, when it can't. */
export async function checkRoutes(path: string): Promise<string> {
  await using loaded = await load(path);
  return loaded.router.state;
}

async function load(path: string): Promise<AsyncDisposable & { readonly router: Router }> {
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
  } catch (error) {
    await router.close();
    throw error;
  }
  return { router, [Symbol.asyncDispose]: () => router.close() };
}
