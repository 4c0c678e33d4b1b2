import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MakeWorld } from './world.ts';
import './contract-data.ts';
import './contract-requests.ts';
import { CASES, Stage } from './contract-case.ts';

/**
 * What holds over the pure machine, over real sockets and against another server alike.
 *
 * @param skips why a case, named by its title, does not hold in that world.
 */
export function turnContract(name: string, makeWorld: MakeWorld, skips: Readonly<Record<string, string>> = {}): void {
  for (const title of Object.keys(skips))
    assert.ok(
      CASES.some((one) => one.title === title),
      `no case: ${title}`,
    );
  for (const [number, { title, run, options }] of CASES.entries()) {
    test(`${name}: ${title}`, { skip: skips[title] ?? false, timeout: 60_000 }, async (t) => {
      const world = await makeWorld(options);
      try {
        await run(new Stage(world, number, t));
      } finally {
        await world.close();
      }
    });
  }
}
