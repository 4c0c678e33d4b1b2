import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { SocketAddress } from '@offhook/core';
import { coturnSkip as skip, startCoturn } from './testkit/coturn.ts';
import { coturnTool, echoPair, startPart } from './testkit/part.ts';
import { hasLoopbackIPv6 } from './testkit/real.ts';

const MAX_TRIES = 4;
const COMMON = {
  relay: { addresses: [{ address: '127.0.0.1' }], portMin: 0, portMax: 0 },
  realm: 'turn.example.org',
  secrets: ['s3cr3t'],
  peers: { base: 'none', allow: [], deny: [] },
} as const;

/** Two addresses with the same two ports. */
function square(port: number, otherPort: number): SocketAddress[] {
  return ['127.0.0.1', '127.0.0.2'].flatMap((address) => [
    { address, port },
    { address, port: otherPort },
  ]);
}

/** What a tool has found out, without ports, times and what stands only in coturn's or only in our answers. */
function verdict(said: string): string[] {
  return said
    .split('\n')
    .map((line) => line.replace(/^\d+: : /, '').replace(/:\d+$/, ''))
    .filter((line) => /NAT|Behavior|hairpin|response|reflexive|origin/i.test(line) && !/ALG/.test(line));
}

test('coturn’s stunclient is told its address over IPv4 and IPv6', { skip, timeout: 60_000 }, async (t) => {
  const hosts = ['127.0.0.1', ...(hasLoopbackIPv6 ? ['::1'] : [])];
  const udp = hosts.map((address) => ({ address, port: 0 }));
  const part = await startPart({ ...COMMON, listen: { udp, tcp: [], tls: [] } });
  try {
    for (const host of hosts) {
      await t.test(host, async () => {
        const said = await coturnTool('turnutils_stunclient', ['-p', String(part.ports.udp), host], 10);
        assert.match(said, new RegExp(`UDP reflexive addr: \\[?${host}\\]?:\\d+`));
      });
    }
  } finally {
    assert.equal(await part.stop(), 0);
  }
});

test('coturn’s stunclient and natdiscovery find out with us what they do with coturn', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const coturn = await startCoturn(({ port, otherPort }) => ({
    ...COMMON,
    listen: { udp: square(port, otherPort), tcp: [], tls: [] },
    natDiscovery: true,
    workers: 1,
  }));
  // a pair of ports that were free a moment ago; who is first there counts
  const pair = await echoPair(['127.0.0.1', '127.0.0.2']);
  pair.close();
  const part = await startPart({
    ...COMMON,
    listen: { udp: square(pair.port, pair.port + 1), tcp: [], tls: [] },
    natDiscovery: true,
  });
  const modes: readonly (readonly [string, readonly string[]])[] = [
    ['turnutils_stunclient', []],
    ['turnutils_stunclient', ['-f']],
    ['turnutils_natdiscovery', ['-m']],
    ['turnutils_natdiscovery', ['-f']],
    ['turnutils_natdiscovery', ['-m', '-f', '-P']],
    ['turnutils_natdiscovery', ['-H']],
    ['turnutils_natdiscovery', ['-H', '-P']],
    ['turnutils_natdiscovery', ['-c', '-A', '127.0.0.3']],
    ['turnutils_natdiscovery', ['-c', '-P', '-A', '127.0.0.3']],
    ['turnutils_natdiscovery', ['-t', '-T', '1']],
  ];
  try {
    for (const [tool, flags] of modes) {
      const found = async (port: number) =>
        verdict(await coturnTool(tool, [...flags, '-p', String(port), '-L', '127.0.0.1', '127.0.0.1'], 20));
      await t.test([tool, ...flags].join(' '), async () => {
        // the tool uses the port behind its own too, which somebody else may have by then: it may try again
        for (let tries = 1; ; tries++) {
          const [ours, theirs] = [await found(part.ports.udp!), await found(coturn.port)];
          if (tries < MAX_TRIES && !isDeepStrictEqual(ours, theirs)) continue;
          assert.ok(ours.length > 0);
          assert.deepEqual(ours, theirs);
          return;
        }
      });
    }
  } finally {
    await coturn.stop();
    assert.equal(await part.stop(), 0);
  }
});
