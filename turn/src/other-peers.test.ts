import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeStun,
  StunAttribute,
  StunClass,
  StunMethod,
  StunWriter,
  turnRestPassword,
  turnRestUsername,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
// @ts-expect-error it has no types; `NpmStun` says what is used of it
import untyped from 'stun';
import { type RTCDataChannel, RTCPeerConnection } from 'werift';
import { FAR } from './testkit/client.ts';
import { realSocket, realWorld, type Transport } from './testkit/real.ts';
import { SECRET } from './testkit/world.ts';

/** Of npm's `stun`. */
interface NpmStun {
  request(url: string): Promise<NpmMessage>;
  createServer(options: { type: 'udp4' }): NpmServer;
  createMessage(type: number, transaction: Buffer): NpmMessage;
  readonly constants: { readonly STUN_BINDING_RESPONSE: number };
}
interface NpmMessage {
  readonly transactionId: Buffer;
  getXorAddress(): { readonly address: string; readonly port: number };
  addXorAddress(address: string, port: number): void;
  addFingerprint(): void;
}
interface NpmServer {
  on(
    event: 'bindingRequest',
    heard: (request: NpmMessage, from: { readonly address: string; readonly port: number }) => void,
  ): void;
  listen(port: number, address: string, opened: () => void): void;
  send(message: NpmMessage, port: number, address: string): void;
  close(): void;
}
const npmStun = untyped as NpmStun;
const PATIENCE_MS = 30_000;

test('npm’s stun is told its address by us', { timeout: PATIENCE_MS }, async () => {
  const world = await realWorld();
  const { address, port } = world.listener;
  try {
    const mapped = (await npmStun.request(`${address}:${port}`)).getXorAddress();
    assert.equal(mapped.address, '127.0.0.1');
    assert.ok(mapped.port > 0);
  } finally {
    await world.close();
  }
});

test('npm’s stun answers what we write, and we read what it answers', { timeout: PATIENCE_MS }, async () => {
  const server = npmStun.createServer({ type: 'udp4' });
  server.on('bindingRequest', (request, from) => {
    const answer = npmStun.createMessage(npmStun.constants.STUN_BINDING_RESPONSE, request.transactionId);
    answer.addXorAddress(from.address, from.port);
    answer.addFingerprint();
    server.send(answer, from.port, from.address);
  });
  const other = await realSocket();
  const { port } = other.local;
  other.close();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const client = await realSocket();
  try {
    const id = nodeCrypto.randomBytes(12);
    const writer = new StunWriter(new Uint8Array(100)).start(StunClass.request, StunMethod.binding, id).fingerprint();
    client.send(writer.message(), { address: '127.0.0.1', port });
    const answer = decodeStun((await client.receive())!.bytes)!;
    assert.equal(answer.class, StunClass.success);
    assert.deepEqual(answer.transactionId, id);
    assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), client.local);
    assert.ok(answer.verifyFingerprint());
  } finally {
    client.close();
    server.close();
  }
});

for (const transport of ['udp', 'tcp', 'tls'] satisfies Transport[]) {
  test(`two werift peers talk through their relayed addresses, over ${transport}`, {
    timeout: PATIENCE_MS,
  }, async () => {
    const world = await realWorld({ transport });
    const { address, port } = world.listener;
    const username = turnRestUsername(FAR, 'werift');
    const credential = turnRestPassword(SECRET, username, nodeCrypto);
    const scheme = transport === 'tls' ? 'turns' : 'turn';
    const urls = `${scheme}:${address}:${port}?transport=${transport === 'udp' ? 'udp' : 'tcp'}`;
    const configuration = {
      iceTransportPolicy: 'relay' as const,
      iceUseIpv6: false,
      iceServers: [{ urls, username, credential }],
      turnTlsOptions: { rejectUnauthorized: false },
    };
    const [alice, bob] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
    try {
      const channel = alice.createDataChannel('words');
      const incoming = new Promise<RTCDataChannel>((resolve) => {
        bob.ondatachannel = ({ channel: one }) => resolve(one);
      });
      const opened = new Promise<void>((resolve) => {
        channel.onopen = () => resolve();
      });
      await alice.setLocalDescription(await alice.createOffer());
      await gathered(alice);
      await bob.setRemoteDescription(alice.localDescription!);
      await bob.setLocalDescription(await bob.createAnswer());
      await gathered(bob);
      for (const { sdp } of [alice.localDescription!, bob.localDescription!]) {
        const kinds = [...sdp.matchAll(/^a=candidate:.* typ (\w+)/gm)].map(([, kind]) => kind);
        assert.deepEqual([...new Set(kinds)], ['relay']);
      }
      await alice.setRemoteDescription(bob.localDescription!);
      const answering = await incoming;
      answering.onmessage = ({ data }) => answering.send(`${data} and back`);
      await opened;
      const heard = new Promise((resolve) => {
        channel.onmessage = ({ data }) => resolve(data);
      });
      channel.send('there');
      assert.equal(await heard, 'there and back');
      const { server } = world.inside;
      assert.equal(server.allocations, 2);
      assert.ok(server.stats.packetsToPeers > 10);
    } finally {
      await Promise.all([alice.close(), bob.close()]);
      await world.close();
    }
  });
}

async function gathered(peer: RTCPeerConnection): Promise<void> {
  while (peer.iceGatheringState !== 'complete') await peer.iceGatheringStateChange.asPromise();
}
