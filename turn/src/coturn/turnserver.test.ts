import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import {
  decodeStun,
  longTermKey,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  turnRestPassword,
  turnRestUsername,
} from '@offhook/core';
import { nodeCrypto, UdpEndpoint } from '@offhook/core/node';
import { PeerPolicy } from '../peers/peer-policy.ts';
import type { PeerRules } from '../peers/peer-rule.ts';
import { type Place, coturnSkip as skip, startCoturn } from '../testkit/coturn.ts';
import type { CoturnSettings } from './settings.ts';

const REALM = 'turn.example.org';
const SECRET = 'secret=of #tests';
const TRANSPORT_UDP = 0x11000000;

function settings({ port, tlsPort, folder }: Place, peers: PeerRules): CoturnSettings {
  const at = { address: '127.0.0.1', port };
  return {
    listen: { udp: [at], tcp: [at], tls: [{ address: '127.0.0.1', port: tlsPort }] },
    tls: { folder },
    relay: { addresses: [{ address: '127.0.0.1' }, { address: '::1' }], portMin: 49_152, portMax: 65_535 },
    realm: REALM,
    secrets: [SECRET, 'previous'],
    peers,
    limits: { allocationsPerUser: 50 },
    workers: 1,
  };
}

/** Just enough of a client to be told what it may reach. */
class Probe {
  readonly #socket: Socket = createSocket('udp4');
  readonly #port: number;
  readonly #username = turnRestUsername(Math.floor(Date.now() / 1000) + 600, 'probe');
  readonly #key: Uint8Array;
  #nonce = '';
  #transaction = 0;

  constructor(port: number) {
    this.#port = port;
    const password = turnRestPassword(SECRET, this.#username, nodeCrypto);
    this.#key = longTermKey(this.#username, REALM, password, nodeCrypto);
  }

  /** Undefined without an answer. */
  async unsigned(
    method: number,
    write: (writer: StunWriter) => unknown,
    waitMs = 1000,
  ): Promise<StunMessage | undefined> {
    const id = new Uint8Array(12);
    new DataView(id.buffer).setUint32(8, ++this.#transaction);
    const writer = new StunWriter(new Uint8Array(1000)).start(StunClass.request, method, id);
    write(writer);
    this.#socket.send(writer.message(), this.#port, '127.0.0.1');
    const timeout = AbortSignal.timeout(waitMs);
    const [bytes] = (await once(this.#socket, 'message', { signal: timeout }).catch(() => [undefined])) as [Buffer?];
    return bytes && decodeStun(bytes);
  }

  async signed(method: number, write: (writer: StunWriter) => unknown): Promise<number> {
    for (;;) {
      const answer = await this.unsigned(method, (writer) => {
        write(writer);
        if (this.#nonce === '') return;
        writer
          .text(StunAttribute.username, this.#username)
          .text(StunAttribute.realm, REALM)
          .text(StunAttribute.nonce, this.#nonce)
          .integrity(this.#key, nodeCrypto);
      });
      assert.ok(answer, 'no answer');
      const code = answer.errorCode()?.code ?? 200;
      if (code !== 401 || this.#nonce !== '') return code;
      this.#nonce = answer.text(StunAttribute.nonce)!;
    }
  }

  allocate(family: 4 | 6): Promise<number> {
    return this.signed(StunMethod.allocate, (writer) => {
      writer.u32(StunAttribute.requestedTransport, TRANSPORT_UDP);
      if (family === 6) writer.u32(StunAttribute.requestedAddressFamily, 0x02000000);
    });
  }

  permit(address: string): Promise<number> {
    return this.signed(StunMethod.createPermission, (writer) =>
      writer.xorAddress(StunAttribute.xorPeerAddress, { address, port: 9 }),
    );
  }

  close(): void {
    this.#socket.close();
  }
}

async function served(peers: PeerRules, work: (place: Place) => Promise<void>): Promise<void> {
  const coturn = await startCoturn((place) => settings(place, peers));
  try {
    assert.doesNotMatch(coturn.said(), /Bad configuration|Wrong address|ERROR: .*option/i, coturn.said());
    await work(coturn);
  } finally {
    await coturn.stop();
  }
}

const NONE: PeerRules = { base: 'none', allow: [{ address: '10.1.0.0/16' }, { address: '2a00:5::/37' }], deny: [] };
const PUBLIC: PeerRules = {
  base: 'public',
  allow: [{ address: '10.1.0.0/16' }, { address: '0.0.0.0/0' }],
  deny: [{ address: '9.9.9.0/24' }, { address: '2a00:7::3:fffe-2a00:7::5:1' }],
};

const PEERS_4 = [
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '10.1.2.3',
    '10.2.0.0',
    '100.64.0.1',
    '100.128.0.1',
    '127.0.0.1',
    '169.254.169.254',
  ],
  ...[
    '172.16.0.1',
    '172.32.0.1',
    '192.0.0.1',
    '192.0.2.200',
    '192.88.99.1',
    '192.168.0.1',
    '198.18.0.1',
    '198.51.100.1',
  ],
  ...['203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255', '8.8.8.8', '1.1.1.1', '9.9.9.9', '9.9.10.1'],
];
const PEERS_6 = [
  ...[
    '::',
    '::1',
    '::2',
    '::100',
    '::7f00:1',
    '::a9fe:a9fe',
    '::a00:0',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
  ],
  ...[
    '::ffff:0:10.0.0.1',
    '64:ff9b::a00:1',
    '64:ff9b::',
    '64:ff9b:1:5::a00:1',
    '100::1',
    '100:1::1',
    '200::1',
    '1fff::1',
    '2001::1',
  ],
  ...[
    '2001:1ff::',
    '2001:200::1',
    '2001:db8::1',
    '2002:a00:1::1',
    '2002:808:808::1',
    '3ffe::1',
    '3fff:1::1',
    '4000::1',
  ],
  ...[
    '5f00::1',
    '9000::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    'ff0e::1',
    '2001:4860:4860::8888',
  ],
  ...[
    '2a00:5::1',
    '2a00:5:7ff:ffff::',
    '2a00:5:800::',
    '2a00:7::3:fffd',
    '2a00:7::3:fffe',
    '2a00:7::4:0',
    '2a00:7::4:ffff',
  ],
  ...['2a00:7::5:1', '2a00:7::5:2'],
];

for (const [name, peers] of [
  ['none', NONE],
  ['public', PUBLIC],
] as const) {
  test(`coturn starts with what is written for it, base ${name}, and lets clients reach what our own rules do`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const policy = new PeerPolicy(peers);
    await served(peers, async ({ port, tlsPort, folder }) => {
      await t.test('an unsigned Allocate is answered 401', async () => {
        const probe = new Probe(port);
        const allocate = (writer: StunWriter) => writer.u32(StunAttribute.requestedTransport, TRANSPORT_UDP);
        const answer = await probe.unsigned(StunMethod.allocate, allocate).finally(() => probe.close());
        assert.equal(answer?.errorCode()?.code, 401);
      });
      await t.test('TLS is served with our certificate', async () => {
        const ca = readFileSync(join(folder, 'ca.pem'));
        const socket = connect({ host: '127.0.0.1', port: tlsPort, ca, timeout: 5000 });
        await once(socket, 'secureConnect');
        socket.destroy();
      });
      for (const [family, addresses] of [
        [4, PEERS_4],
        [6, PEERS_6],
      ] as const) {
        await t.test(`IPv${family} peers`, async (t) => {
          const probe = new Probe(port);
          t.after(() => probe.close());
          assert.equal(await probe.allocate(family), 200);
          const otherwise: string[] = [];
          for (const address of addresses) {
            const allowed = policy.allowsAddress(UdpEndpoint.from({ address, port: 0 })!);
            const code = await probe.permit(address);
            if (code !== (allowed ? 200 : 403)) otherwise.push(`${address}: ${code}, ours ${allowed}`);
          }
          assert.deepEqual(otherwise, []);
        });
      }
    });
  });
}
