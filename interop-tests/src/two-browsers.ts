import { leave, type Phone, signIn, warmUp } from './browser.ts';
import { Stage } from './stage.ts';
import type { System } from './system.ts';

/** alice and bob with a Chromium each; closing the stage closes both. */
export interface TwoBrowsers {
  readonly stage: Stage;
  readonly alice: Phone;
  readonly bob: Phone;
}

export async function openTwoBrowsers(): Promise<TwoBrowsers> {
  const stage = new Stage();
  const [alice, bob] = await Promise.all([stage.chromium(stage.alicesWords), stage.chromium(stage.bobsWords)]);
  return { stage, alice, bob };
}

/** A first call of no account, so that the calls that are measured find everything loaded. */
export async function warmUpTwoBrowsers({ alice, bob }: TwoBrowsers, system: System): Promise<void> {
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await warmUp(alice, bob);
  await leave(alice, bob);
}
