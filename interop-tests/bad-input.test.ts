import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { seededRandom } from '@offhook/core';
import WebSocket from 'ws';
import { sipp } from './src/sipp.ts';
import { System, scratchFolder } from './src/system.ts';

const folder = scratchFolder();
let system: System;

before(async () => {
  system = await System.start({ folder: folder.path });
  await system.addUser('tester', 'Trumpet-44-x');
});

after(async () => {
  await system?.stop();
  folder.remove();
});

const random = seededRandom(4242);
const bytes = (length: number) => Buffer.from(Uint8Array.from({ length }, () => Math.floor(random.next() * 256)));

const SIP =
  'INVITE sip:600@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:600@x>\r\nCall-ID: bad\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n';
const STUN = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
const RTP = Buffer.concat([Buffer.from('80000001000000a0deadbeef', 'hex'), bytes(160)]);

/** Valid messages, cut, stretched, spoilt and made up: 400 datagrams that no port may stumble over. */
function mutants(): Buffer[] {
  const seeds = [
    Buffer.from(SIP),
    STUN,
    RTP,
    Buffer.from('c1 d7:command4:pinge'),
    Buffer.from('c2 {"command":"ping"}'),
    Buffer.from('16fefd0000000000000000', 'hex'),
  ];
  const out: Buffer[] = [
    Buffer.alloc(0),
    bytes(1),
    bytes(65_000),
    Buffer.from(SIP.replace('Call-ID: bad', `Call-ID: ${'x'.repeat(60_000)}`)),
    Buffer.from(`c3 ${'l'.repeat(20_000)}`),
    Buffer.from(`c4 ${'['.repeat(20_000)}`),
  ];
  while (out.length < 400) {
    const seed = seeds[Math.floor(random.next() * seeds.length)]!;
    const copy = Buffer.from(seed.subarray(0, Math.ceil(random.next() * seed.length)));
    for (let i = 0; i < 3 && random.next() < 0.7; i++)
      copy[Math.floor(random.next() * copy.length)] = Math.floor(random.next() * 256);
    out.push(random.next() < 0.2 ? bytes(1 + Math.floor(random.next() * 300)) : copy);
  }
  return out;
}

async function goodCall(): Promise<void> {
  const run = await sipp({
    folder: folder.path,
    scenario: 'echo-with-media.xml',
    replace: { PCAP: '/usr/share/sip-tester/g711a.pcap' },
    server: `127.0.0.1:${system.ports.udp}`,
    user: 'tester',
    password: 'Trumpet-44-x',
    domain: system.domain,
    calls: 1,
  });
  assert.equal(run.failed, 0, run.output);
  await system.assertNothingLeft();
}

async function spray(port: number, datagrams: readonly Buffer[]): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  for (const datagram of datagrams) await new Promise((resolve) => socket.send(datagram, port, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => socket.close(resolve));
}

test('garbage, cut, oversized and spoilt datagrams on every UDP port: nothing stops, the next call works', async () => {
  const pids = await system.pids();
  const ports = await system.udpPorts();
  assert.ok(Object.keys(ports).length >= 4, JSON.stringify(ports));
  for (const port of Object.values(ports)) await spray(port, mutants());
  await goodCall();
  assert.deepEqual(await system.pids(), pids, 'no part was restarted');
});

test('garbage and endless messages on SIP over TCP are answered or cut off, never kept', async () => {
  const pids = await system.pids();
  const inputs = [
    bytes(4000),
    Buffer.from('INVITE '.repeat(20_000)),
    Buffer.from(SIP.replace('Content-Length: 0', 'Content-Length: 99999999')),
    Buffer.from(SIP.replace('Content-Length: 0', 'Content-Length: -1')),
    Buffer.from('\r\n'.repeat(5000)),
    Buffer.from(`${SIP.slice(0, -4)}\r\nX-Long: ${'y'.repeat(200_000)}\r\n\r\n`),
  ];
  for (const input of inputs) {
    await new Promise<void>((resolve) => {
      const socket = connect(system.ports.tcp!, '127.0.0.1', () => {
        socket.write(input);
        setTimeout(() => socket.destroy(), 300);
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
    });
  }
  await goodCall();
  assert.deepEqual(await system.pids(), pids);
});

test('WebSocket: foreign origins and false sessions are refused, oversized and binary garbage closes only that socket', async () => {
  const url = `ws://127.0.0.1:${system.ports.http}/sip`;
  const origin = `http://127.0.0.1:${system.ports.http}`;
  const outcome = (protocols: string[], options: WebSocket.ClientOptions, input?: Buffer | string) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(url, protocols, options);
      socket.on('unexpected-response', (_request, response) => {
        response.resume();
        resolve(`refused ${response.statusCode}`);
        socket.terminate();
      });
      socket.on('error', () => resolve('error'));
      socket.on('open', () => {
        if (input === undefined) {
          resolve('open');
          socket.terminate();
        } else socket.send(input);
      });
      socket.on('message', (data) => {
        resolve(`answered ${String(data).slice(0, 11)}`);
        socket.terminate();
      });
      socket.on('close', (code) => resolve(`closed ${code}`));
      setTimeout(() => {
        resolve('silent');
        socket.terminate();
      }, 1500);
    });
  assert.equal(await outcome(['sip'], { origin }), 'open');
  assert.equal(await outcome(['sip'], { origin: 'http://evil.example' }), 'refused 403');
  assert.match(await outcome(['sip', 'offhook.session.forged'], { origin }), /refused 401/);
  assert.match(await outcome(['sip'], { origin }, bytes(70_000)), /closed 1009/);
  assert.match(await outcome(['sip'], { origin }, 'hello'), /silent|closed|answered/);
  assert.match(await outcome(['sip'], { origin }, SIP.replace('UDP', 'WS')), /answered SIP\/2.0 401/);
  await goodCall();
});
