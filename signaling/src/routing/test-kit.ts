import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { builtIn } from './built-in.ts';
import { checkRouted } from './check.ts';
import type { CallFacts, RingGroup } from './decision.ts';
import { type Evaluated, evaluate, type Known } from './evaluate.ts';
import { Router, type RouterLimits, type RoutingDirectory } from './router.ts';
import { compileRules } from './rules.ts';

const USERS = ['alice', 'bob', 'carol'];
const GROUPS: Readonly<Record<string, RingGroup>> = {
  sales: { members: ['alice', 'bob'], ring: 'parallel', ringS: 25 },
  desk: { members: ['bob', 'carol'], ring: 'serial', ringS: 10 },
};

/** alice is in a call, bob's phone is away. */
export const directory: RoutingDirectory = {
  isUser: (user) => USERS.includes(user),
  group: (name) => (Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined),
  isSignedIn: (user) => user !== 'bob',
  isInCall: (user) => user === 'alice',
  isTrunk: (name) => name === 'provider' || name === 'backup',
};

/** A call of alice's. */
export const fromAlice = (to: string, more: Partial<CallFacts> = {}): CallFacts => ({
  account: 'alice',
  from: 'alice',
  displayName: 'Alice',
  to,
  ...more,
});

/** A call that came in. */
export const fromTrunk = (to: string, more: Partial<CallFacts> = {}): CallFacts => ({
  trunk: 'provider',
  from: '+4915112345',
  to,
  ...more,
});

/** Tries rules on one call, without a thread; what comes out is good enough to be let through. */
export async function decide(
  routes: unknown,
  facts: CallFacts,
  { at = '2026-11-26T14:10:00+01:00', zone = 'Europe/Berlin' } = {},
): Promise<Evaluated> {
  const { rules, problems } = compileRules(routes, zone);
  assert.deepEqual(problems, []);
  const evaluated = await evaluate(rules, facts, {
    atMs: Date.parse(at),
    zone,
    signal: new AbortController().signal,
    lookup: async (name): Promise<Known> => ({
      isUser: directory.isUser(name),
      isSignedIn: directory.isSignedIn(name),
      isInCall: directory.isInCall(name),
      group: directory.group(name),
    }),
    builtIn: async (to, how) => builtIn({ ...facts, to }, directory, how),
    enter: () => {},
    place: () => 'routes.ts:1:1',
  });
  assert.equal(typeof checkRouted(evaluated), 'object', String(checkRouted(evaluated)));
  return evaluated;
}

/** What would ring, as one line: `alice+bob 25 | trunk:provider:112`; anything else by its name. */
export function brief({ decision }: Pick<Evaluated, 'decision'>): string {
  switch (decision.kind) {
    case 'ring':
      return decision.steps
        .map(({ targets, ringS }) => {
          const who = targets.map((one) =>
            one.kind === 'user' ? one.user : one.kind === 'uri' ? one.uri : `${one.trunk}:${one.number}`,
          );
          return ringS === undefined ? who.join('+') : `${who.join('+')} ${ringS}`;
        })
        .join(' | ');
    case 'reject':
      return `${decision.status} ${decision.reason}`;
    case 'park':
      return `park ${decision.slot}`;
    case 'room':
      return `room ${decision.room}`;
    case 'pickup':
      return `pickup ${decision.user ?? 'any'}`;
    case 'echo':
      return 'echo';
    default:
      return decision satisfies never;
  }
}

/** A router over files of its own, in a folder that goes with it. */
export class RouterStage {
  readonly folder = mkdtempSync(join(tmpdir(), 'oh-routes-'));
  readonly path = join(this.folder, 'routes.ts');
  readonly infos: string[] = [];
  readonly warns: string[] = [];
  router!: Router;
  readonly #waiting: { readonly of: string[]; readonly words: RegExp; readonly resolve: (line: string) => void }[] = [];

  constructor(files: Readonly<Record<string, string>>, limits: Partial<RouterLimits> = {}) {
    this.write(files);
    const log = {
      info: (words: string) => this.#heard(this.infos, words),
      warn: (words: string) => this.#heard(this.warns, words),
    };
    this.router = new Router({ path: this.path, directory, log, limits: { settleMs: 20, ...limits } });
  }

  /** Each at once as a whole, as editors do. */
  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true });
      writeFileSync(join(this.folder, `${name}.new`), text);
      renameSync(join(this.folder, `${name}.new`), join(this.folder, name));
    }
  }

  /** The next line of that log which the words fit, from the beginning on; each line is taken once. */
  async heard(of: 'infos' | 'warns', words: RegExp): Promise<string> {
    const list = this[of];
    const at = list.findIndex((line) => words.test(line));
    if (at >= 0) return list.splice(0, at + 1).at(-1)!;
    return new Promise((resolve) => this.#waiting.push({ of: list, words, resolve }));
  }

  async decides(facts: CallFacts, at?: string): Promise<string> {
    return brief(await this.router.route(facts, at === undefined ? undefined : Date.parse(at)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #heard(of: string[], line: string): void {
    const at = this.#waiting.findIndex((one) => one.of === of && one.words.test(line));
    if (at < 0) of.push(line);
    else this.#waiting.splice(at, 1)[0]!.resolve(line);
  }
}
