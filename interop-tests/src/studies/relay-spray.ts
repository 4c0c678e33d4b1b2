import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NgClient } from '@offhook/core/node';
import { System } from '../system.ts';
import { PlainPhone } from './plain-phone.ts';
import { descriptorsOf, LOAD_CPU, pin, pinned, rssBytes } from './process.ts';
import type { SprayTask } from './relay-sprayer.ts';
import { atMost, type Check, exactly, type Study } from './study.ts';

const CALLS = 1000;
/** Calls that are there before the spraying begins, whose ports it aims at. */
const FIRST = 500;
const SECONDS = 40;
const PER_S = 20_000;
const SOURCES = 8;
/** Ten packets a second from each phone. */
const TICK_MS = 100;
const MEMORY_MIB = 16;
const MIB = 1 << 20;
const RELAY_CPU = 0;
const CALL_ID = 'spray';

interface Call {
  readonly a: PlainPhone;
  readonly b: PlainPhone;
  readonly ports: readonly [number, number];
}

export const relaySpray: Study = {
  words: 'the media relay sprayed by a third host for the length of 1,000 calls: nothing leaks, nobody is disturbed',
  run: async ({ folder, say, seconds = SECONDS }) => {
    await using system = await System.start({ folder, media: { workers: 1 } });
    for (const [part, pid] of Object.entries(await system.pids()))
      pin(pid, part === 'media-relay-0' ? RELAY_CPU : LOAD_CPU);
    const { pid, ports } = await system.status('media-relay-0');
    using ng = await NgClient.open(ports.ng!);
    const calls: Call[] = [];
    const make = async (count: number) => {
      for (let i = 0; i < count; i++) calls.push(await makeCall(ng, calls.length));
    };
    const voice = setInterval(() => {
      for (const { a, b } of calls) {
        a.send();
        b.send();
      }
    }, TICK_MS);
    try {
      await make(FIRST);
      const task: SprayTask = {
        ports: calls.flatMap((call) => call.ports),
        mux: ports.mux!,
        ssrcs: calls.flatMap(({ a, b }) => [a.ssrc, b.ssrc]),
        perS: PER_S,
        seconds,
        sources: SOURCES,
      };
      const began = performance.now();
      const spraying = startSprayer(task);
      await make(CALLS - FIRST);
      say(`${calls.length} calls, sprayed`);
      await sleep(Math.max(0, seconds * 500 - (performance.now() - began)));
      const half = rssBytes(pid);
      const told = await spraying;
      clearInterval(voice);
      await sleep(500); // what is under way
      const phones = calls.flatMap(({ a, b }) => [a, b]);
      const sum = (figure: (phone: PlainPhone) => number) => phones.reduce((total, phone) => total + figure(phone), 0);
      const [sent, received, strange] = [sum((p) => p.sent), sum((p) => p.received), sum((p) => p.strange)];
      const grown = (rssBytes(pid) - half) / MIB;
      say(`${received} of ${sent} packets of calls, ${strange} strange ones; sprayed ${JSON.stringify(told)}`);
      const metrics = await system.metrics('media-relay-0');
      const disturbed = calls.filter(
        ({ a, b }) => a.received !== b.sent || b.received !== a.sent || a.strange + b.strange > 0,
      );
      for (const [i] of calls.entries()) await ng.ask({ command: 'delete', 'call-id': `${CALL_ID}-${i}` });
      const left = (await system.metrics('media-relay-0')).offhook_media_rtp_port_pairs ?? -1;
      const checks: Check[] = [
        exactly('calls that were set up', calls.length, CALLS),
        exactly('calls that were disturbed', disturbed.length, 0),
        exactly('packets of media that came to the third host', told.media, 0),
        atMost('answers to it a second, of any kind', told.others / seconds, 101),
        atMost('memory, second half against first, MiB', grown, MEMORY_MIB),
        exactly('port pairs in use in the end', left, 0),
      ];
      const drops = Object.fromEntries(Object.entries(metrics).filter(([name]) => name.includes('dropped')));
      return {
        checks,
        figures: { sent, received, strange, told, drops, descriptors: descriptorsOf(pid), rssMib: rssBytes(pid) / MIB },
      };
    } finally {
      clearInterval(voice);
      for (const { a, b } of calls) {
        a.close();
        b.close();
      }
    }
  },
};

async function makeCall(ng: NgClient, i: number): Promise<Call> {
  const address = (side: number) => `127.${30 + side}.${i >> 8}.${i & 255}`;
  const [a, b] = [
    await PlainPhone.open(address(0), 0x10000 + 2 * i),
    await PlainPhone.open(address(1), 0x10001 + 2 * i),
  ];
  a.far = b.ssrc;
  b.far = a.ssrc;
  const ids = { 'call-id': `${CALL_ID}-${i}`, 'from-tag': 'a', ICE: 'remove' };
  const offered = await ng.ask({ command: 'offer', ...ids, sdp: a.sdp });
  const answered = await ng.ask({ command: 'answer', ...ids, 'to-tag': 'b', sdp: b.sdp });
  return { a, b, ports: [a.follow(String(answered.sdp)), b.follow(String(offered.sdp))] };
}

async function startSprayer(task: SprayTask): Promise<{ sent: number; media: number; others: number }> {
  const script = fileURLToPath(new URL('relay-sprayer.ts', import.meta.url));
  const command = [...pinned(LOAD_CPU), process.execPath, script, JSON.stringify(task)];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = (await text(child.stdout)).trim().split('\n');
  return JSON.parse(lines.at(-1)!) as { sent: number; media: number; others: number };
}
