import { calls, type Load, number, registers, type Sample } from './loads.ts';
import type { OffhookServer } from './offhook.ts';
import type { Server } from './server.ts';

export const REGISTER: Load = { ratePerS: 1500, seconds: 4 };
export const CALL: Load = { ratePerS: 300, seconds: 4 };

/** One server under one load, as often as it is wanted. */
export interface Pass {
  readonly kind: 'registers' | 'calls';
  readonly load: Load;
  /** What goes before the first round, and is not counted: for compilers, pools of memory, caches. */
  readonly warmUps: readonly Load[];
  run(round: number, load: Load): Promise<Sample>;
}

/** A compiled program is itself after a moment. */
function brief({ ratePerS }: Load): Load[] {
  return [{ ratePerS, seconds: 2 }];
}

/**
 * V8 compiles what is used much: a call costs two to three times as much in a server's first thousands of them. Slowly at
 * first, for a cold server falls behind.
 */
function thorough({ ratePerS }: Load): Load[] {
  return [
    { ratePerS: ratePerS * 0.4, seconds: 8 },
    { ratePerS, seconds: 14 },
  ];
}

const count = (loads: readonly Load[]) => loads.reduce((sum, { ratePerS, seconds }) => sum + ratePerS * seconds, 0);

/** How many addresses are registered at our server, each once. */
export function registrantsFor(rounds: number): number {
  return count(thorough(REGISTER)) + rounds * count([REGISTER]);
}

export function registerPasses(of: { kamailio: Server; offhook: Server; folder: string }): Pass[] {
  const pass = (
    server: Server,
    how: { scenario: 'register' | 'register-authenticated'; variant: string; warmUps: Load[] },
  ): Pass => {
    const { warmUps, ...rest } = how;
    let next = 0;
    return {
      kind: 'registers',
      load: REGISTER,
      warmUps,
      run: (round, load) => {
        const first = next;
        next += count([load]);
        return registers(server, { ...rest, folder: of.folder, first, load, round });
      },
    };
  };
  return [
    pass(of.kamailio, { scenario: 'register', variant: 'Kamailio', warmUps: brief(REGISTER) }),
    pass(of.offhook, {
      scenario: 'register-authenticated',
      variant: 'Offhook, digest',
      warmUps: thorough(REGISTER),
    }),
  ];
}

export function callPasses(of: {
  kamailio: Server;
  plain: OffhookServer;
  withMedia: OffhookServer | undefined;
  folder: string;
  trunkPorts: readonly number[];
  rows: ReadonlySet<string>;
}): Pass[] {
  const { folder, rows, plain, withMedia, trunkPorts } = of;
  const pass = (
    server: Server,
    how: Pick<Parameters<typeof calls>[1], 'scenario' | 'variant' | 'ports' | 'relay' | 'called'>,
    warmUps: Load[] = thorough(CALL),
  ): Pass => ({
    kind: 'calls',
    load: CALL,
    warmUps,
    run: (round, load) => calls(server, { ...how, folder, load, round }),
  });
  const passes: Pass[] = [];
  if (rows.has('call') || rows.has('trunk') || withMedia)
    passes.push(pass(of.kamailio, { scenario: 'call', variant: 'Kamailio' }, brief(CALL)));
  if (rows.has('call')) passes.push(pass(plain, { scenario: 'call-authenticated', variant: 'Offhook, digest' }));
  if (rows.has('trunk'))
    passes.push(pass(plain, { scenario: 'call', variant: 'Offhook, trunk', ports: trunkPorts, called: number }));
  if (withMedia)
    passes.push(
      pass(withMedia, { scenario: 'call-authenticated', variant: 'Offhook, digest, media', relay: withMedia.relay }),
    );
  return passes;
}
