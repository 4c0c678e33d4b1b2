import type { Cancel, VirtualClock } from './clock.ts';

/** What every machine has in common. */
export interface Machine<Command> {
  handleTimeout(nowMs: number): void;
  nextTimeout(): number | undefined;
  poll(): Command | undefined;
}

/** A machine bound to a virtual clock. */
export interface Driver {
  /** Call after every handle call: drains the commands, then arms the timer. Calls from within `execute` are harmless. */
  settle(): void;
  /** No further timer fires. */
  stop(): void;
}

/** More than this without time moving on is a machine that never comes to rest. */
const RESTLESS = 100_000;

/** Drives a machine on virtual time: each command goes to `execute`, each deadline to `handleTimeout`. */
export function drive<Command>(
  machine: Machine<Command>,
  clock: VirtualClock,
  execute: (command: Command, nowMs: number) => void,
): Driver {
  let cancel: Cancel | undefined;
  let armedAtMs: number | undefined;
  let draining = false;
  let stopped = false;
  let lastMs = Number.NEGATIVE_INFINITY;
  let busy = 0;
  const count = () => {
    if (clock.nowMs !== lastMs) busy = 0;
    lastMs = clock.nowMs;
    if (++busy > RESTLESS) throw new Error(`the machine never comes to rest at ${clock.nowMs} ms`);
  };
  const settle = () => {
    if (draining || stopped) return;
    draining = true;
    try {
      for (let command = machine.poll(); command !== undefined; command = machine.poll()) {
        count();
        execute(command, clock.nowMs);
      }
    } finally {
      draining = false;
    }
    if (!stopped) arm(machine.nextTimeout());
  };
  const arm = (atMs: number | undefined) => {
    if (atMs === armedAtMs) return;
    cancel?.();
    cancel = undefined;
    armedAtMs = atMs;
    if (atMs === undefined) return;
    cancel = clock.at(atMs, (nowMs) => {
      armedAtMs = undefined;
      cancel = undefined;
      count();
      machine.handleTimeout(nowMs);
      settle();
    });
  };
  settle();
  return {
    settle,
    stop: () => {
      stopped = true;
      arm(undefined);
    },
  };
}
