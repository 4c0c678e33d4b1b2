/** Run inside a namespace by simulcast.test.ts: `firefox-layers.ts <scratch folder> <address>`. */
import { join } from 'node:path';
import { followLayers, VP8_LAYERS } from '../layers-on-a-line.ts';
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
    address,
    ...VP8_LAYERS,
    say: (words) => said.push(words),
  });
}
console.log(JSON.stringify(said));
