/** Run inside a namespace by simulcast.test.ts: `firefox-layers.ts <scratch folder> <address>`. */
import { join } from 'node:path';
import { followLayers } from '../layers-on-a-line.ts';
import { Stage } from '../stage.ts';

const [folder, address] = process.argv.slice(2) as [string, string];
const home = join(folder, 'pulse');
const said: string[] = [];
{
  await using stage = new Stage(folder);
  const [alice, bob] = await Promise.all([
    stage.firefox({ ...process.env, HOME: home, XDG_RUNTIME_DIR: home }),
    stage.chromium(stage.bobsWords),
  ]);
  await followLayers({
    alice,
    bob,
    codec: 'VP8',
    address,
    layers: [
      { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 120_000 },
      { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 350_000 },
      { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 900_000 },
    ],
    narrowBps: 400_000,
    leastHighBps: 400_000,
    say: (words) => said.push(words),
  });
}
console.log(JSON.stringify(said));
