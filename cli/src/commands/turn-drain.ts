import type { PartStatus } from '@offhook/core/node';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';

const ASK_EVERY_MS = 1000;
const out = (line: string) => process.stdout.write(`${line}\n`);

interface DrainOptions {
  readonly to: { readonly address: string; readonly port: number } | undefined;
  readonly wait: boolean;
}

/** No new allocations from now on; those that are there go on until their clients let go of them. */
export async function turnDrain(data: string, { to, wait }: DrainOptions): Promise<number> {
  await ask(data, 'turn', 'drain', to ? { alternate: to } : {});
  const { details } = (await ask(data, 'turn', 'status')) as PartStatus;
  const where =
    typeof details.drainsTo === 'string'
      ? `clients are sent to ${details.drainsTo}`
      : 'clients are refused (there is neither --to nor turn.alternateServer)';
  out(`TURN makes no new allocations, ${where}; to take it back: ${command('turn undrain')}`);
  if (wait) await waitUntilEmpty(data);
  return 0;
}

export async function turnUndrain(data: string): Promise<number> {
  await ask(data, 'turn', 'undrain');
  out('TURN makes allocations again');
  return 0;
}

/** Says each change of what is left. */
async function waitUntilEmpty(data: string): Promise<void> {
  let last: number | undefined;
  for (;;) {
    const { details } = (await ask(data, 'turn', 'status')) as PartStatus;
    const left = Number(details.allocations);
    if (left !== last)
      out(left === 0 ? 'no allocation is left' : `${left} ${left === 1 ? 'allocation is' : 'allocations are'} left`);
    if (!(left > 0)) return;
    last = left;
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}
