import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { Peer, plainSdp, rtp } from './test-kit.ts';
import { TestRelay } from './test-relay.ts';

const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === '::1'));

async function open6(): Promise<Socket> {
  const socket = createSocket('udp6');
  socket.bind(0, '::1');
  await once(socket, 'listening');
  return socket;
}

async function next(socket: Socket): Promise<Uint8Array> {
  const [bytes] = (await once(socket, 'message', { signal: AbortSignal.timeout(2000) })) as [Uint8Array];
  return bytes;
}

const SETTINGS = { mux: { addresses: [{ address: '127.0.0.1', advertised: '203.0.113.5' }], port: 0 } };

test('a call from an IPv4 phone to an IPv6 one, over an interface with both', {
  skip: !hasIPv6 && 'this machine has no IPv6',
}, async () => {
  const relay = await TestRelay.start({
    ...SETTINGS,
    rtp: {
      interfaces: [
        { name: 'lan', address: '127.0.0.1' },
        { name: 'lan', address: '::1' },
      ],
      portMin: 0,
      portMax: 0,
    },
  });
  const { ng } = relay;
  const four = await Peer.open();
  const six = await open6();
  const call = { 'call-id': 'six', 'from-tag': 'a' };
  const toB = await ng.sdp({ command: 'offer', ...call, sdp: plainSdp(four), 'address-family': 'IP6' });
  assert.match(toB, /^c=IN IP6 ::1\r$/m);
  const portOf = (sdp: string) => Number(/^m=audio (\d+)/m.exec(sdp)![1]);
  const answer = plainSdp(four)
    .replace(/^c=.*$/m, 'c=IN IP6 ::1')
    .replace(/^m=audio \d+/m, `m=audio ${six.address().port}`);
  const toA = await ng.sdp({ command: 'answer', ...call, 'to-tag': 'b', sdp: answer });
  assert.match(toA, /^c=IN IP4 127\.0\.0\.1\r$/m);
  const heard = next(six);
  four.send(rtp({ ssrc: 1, sequence: 1 }), { address: '127.0.0.1', port: portOf(toA) });
  assert.equal((await heard).length, 172);
  six.send(rtp({ ssrc: 2, sequence: 1 }), portOf(toB), '::1');
  assert.equal((await four.next())!.length, 172);
  await ng.call({ command: 'delete', 'call-id': 'six' });
  assert.equal(relay.metrics().offhook_media_rtp_port_pairs, 0);
  await Promise.all([four.close(), new Promise<void>((done) => six.close(() => done()))]);
  await relay.stop();
});

test('what is advertised stands in the SDP, and a description that names it is our own port', async () => {
  const relay = await TestRelay.start({
    ...SETTINGS,
    rtp: { address: '127.0.0.1', advertised: '198.51.100.9', portMin: 0, portMax: 0 },
  });
  const { ng } = relay;
  const phone = await Peer.open();
  const sdp = plainSdp(phone);
  const toB = await ng.sdp({ command: 'offer', 'call-id': 'x', 'from-tag': 'a', sdp });
  assert.match(toB, /^c=IN IP4 198\.51\.100\.9\r$/m);
  await ng.sdp({ command: 'offer', 'call-id': 'y', 'from-tag': 'a', sdp: toB });
  assert.equal(relay.metrics().offhook_media_address_loops_total! > 0, true);
  const web = await ng.sdp({
    command: 'offer',
    'call-id': 'z',
    'from-tag': 'a',
    sdp,
    ICE: 'force',
    'transport-protocol': 'UDP/TLS/RTP/SAVPF',
  });
  assert.match(web, /^a=candidate:1 1 udp \d+ 203\.0\.113\.5 \d+ typ host\r$/m);
  for (const id of ['x', 'y', 'z']) await ng.call({ command: 'delete', 'call-id': id });
  await phone.close();
  await relay.stop();
});

test('interfaces that can be none are told of before anything is opened', async () => {
  const at = (address: string, advertised?: string) =>
    TestRelay.start({
      ...SETTINGS,
      rtp: { interfaces: [{ name: 'x', address, ...(advertised ? { advertised } : {}) }], portMin: 0, portMax: 0 },
    });
  await assert.rejects(at('host.example'), /'host\.example' is no IP address/);
  await assert.rejects(at('127.0.0.1', '2001:db8::1'), /no address of the family of 127\.0\.0\.1/);
});
