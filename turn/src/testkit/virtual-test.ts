import { test } from 'node:test';
import { TestClient } from './client.ts';
import { VirtualWorld } from './virtual.ts';
import type { WorldOptions } from './world.ts';

/** A test in a virtual world of its own, which has to be left empty. */
export function virtual(title: string, run: (world: VirtualWorld) => Promise<void>, options?: WorldOptions): void {
  test(title, async () => {
    const world = new VirtualWorld(options);
    await run(world);
    await world.close();
  });
}

export async function newClient(world: VirtualWorld, user = 'alice'): Promise<TestClient> {
  return new TestClient(await world.socket(), world.listener, { user });
}
