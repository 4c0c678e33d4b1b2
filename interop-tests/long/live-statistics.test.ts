import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import type { LegStatistics } from '@offhook/media-relay';
import type { Baresip } from '../src/baresip.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { Stage } from '../src/stage.ts';
import { anyPorts, System } from '../src/system.ts';

const skip = lacking(...SPEECH, 'baresip', 'openssl');
const OFFHOOK = join(import.meta.dirname, '../../cli/bin/offhook.mjs');

let stage: Stage;
let system: System;
let desk: Baresip;
let hall: Baresip;

before(async () => {
  if (skip) return;
  stage = new Stage();
  const media = { ...(anyPorts().media as object), ngTcpPort: stage.freePorts() };
  system = await System.start({ folder: stage.folder, settings: { media } });
  desk = await stage.baresip(system, 'desk', { words: stage.alicesWords, codecs: ['opus/48000/1'] });
  hall = await stage.baresip(system, 'hall', { words: stage.bobsWords, codecs: ['opus/48000/1'] });
  await desk.command('dial', `sip:hall@${system.domain}`);
  await hall.answer();
  await Promise.all([desk, hall].map((phone) => phone.waitFor('CALL_ESTABLISHED')));
});

after(async () => {
  await stage?.close();
  await system?.stop();
});

interface Shown {
  readonly at: number;
  readonly calls: readonly { readonly phones?: readonly (LegStatistics & { readonly party: string })[] }[];
}

test('offhook calls --watch shows each second how a call sounds at each phone', { skip }, async () => {
  const child = spawn(process.execPath, [OFFHOOK, 'calls', '--watch', '--json', '--config', system.config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const shown: Shown[] = [];
  try {
    for await (const line of createInterface(child.stdout)) {
      shown.push(JSON.parse(line) as Shown);
      const phones = shown.at(-1)!.calls[0]?.phones ?? [];
      const isWhole = phones.length === 2 && phones.every(({ media }) => media[0]?.received && media[0].sent);
      if ((isWhole && shown.length >= 4) || shown.length > 20) break;
    }
  } finally {
    child.kill();
  }
  const phones = shown.at(-1)!.calls[0]!.phones!;
  assert.deepEqual(phones.map(({ party }) => party).sort(), ['desk', 'hall']);
  for (const { party, media, packetsIn } of phones) {
    const { received, sent } = media[0]!;
    assert.equal(received?.codec, 'opus', party);
    assert.ok(received.mos! > 4 && received.lossPercent < 1, `${party}: ${JSON.stringify(received)}`);
    assert.ok(sent, `what ${party} reports`);
    assert.ok(packetsIn > 50, String(packetsIn));
  }
  const packets = shown.flatMap(({ calls }) => calls[0]?.phones?.[0]?.packetsIn ?? []);
  assert.ok(
    packets.every((n, i) => i === 0 || n > packets[i - 1]!),
    `each time more: ${packets}`,
  );
});

test('the relay pushes the same over NG each second', { skip }, async () => {
  const { ngTcp } = (await system.status('media-relay-0')).ports;
  const socket = connect(ngTcp!, '127.0.0.1');
  const times: number[] = [];
  let text = '';
  socket.write('s1 {"command":"events","kinds":["statistics"]}');
  for await (const chunk of socket) {
    text += String(chunk);
    for (let at = text.indexOf('"event"'); at >= 0; at = text.indexOf('"event"')) {
      times.push(performance.now());
      text = text.slice(at + 1);
    }
    if (times.length >= 4) break;
  }
  socket.destroy();
  const [first, last] = [times[0]!, times[3]!];
  assert.ok(last - first > 2500 && last - first < 4500, `three seconds between four: ${Math.round(last - first)} ms`);
});
