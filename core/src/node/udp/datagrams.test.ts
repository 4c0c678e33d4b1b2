import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import {
  batchedUdpProblem,
  type DatagramSocket,
  gatherPackets,
  LONGEST_DATAGRAM,
  openDatagramSocket,
  UdpEndpoint,
} from './index.ts';

const problem = await batchedUdpProblem();
const decoder = new TextDecoder();
const encoder = new TextEncoder();

interface Got {
  readonly text: string;
  readonly from: UdpEndpoint;
}

interface Listening {
  readonly got: Got[];
  readonly errors: number;
  /** Resolves when so much has arrived. */
  readonly until: (count: number) => Promise<Got[]>;
}

/** What arrives, copied, and what could not be sent. */
function listen(socket: DatagramSocket): Listening {
  const got: Got[] = [];
  let errors = 0;
  socket.onSendErrors = (count) => {
    errors += count;
  };
  let wanted: { count: number; resolve: () => void } | undefined;
  socket.onDatagram = (bytes, from) => {
    got.push({ text: decoder.decode(bytes), from });
    if (wanted && got.length >= wanted.count) wanted.resolve();
    return true;
  };
  const until = (count: number) =>
    new Promise<Got[]>((resolve) => {
      wanted = { count, resolve: () => resolve(got) };
      if (got.length >= count) resolve(got);
    });
  return {
    got,
    until,
    get errors() {
      return errors;
    },
  };
}

const at = (socket: DatagramSocket, address = socket.local.address) =>
  UdpEndpoint.from({ address, port: socket.local.port })!;

for (const implementation of ['mmsg', 'dgram'] as const) {
  const skip = implementation === 'mmsg' && problem ? problem : false;
  const open = (address: string, port = 0) => openDatagramSocket({ address, port, implementation });

  for (const address of ['127.0.0.1', '::1']) {
    const name = `${implementation} ${address}`;

    test(`${name}: datagrams arrive whole, in order, with their source, and are answered there`, { skip }, async () => {
      const [a, b] = [await open(address), await open(address)];
      assert.equal(a.implementation, implementation);
      assert.deepEqual(a.local.address, address);
      const [mine, theirs] = [listen(a), listen(b)];
      const echoed = b.onDatagram!;
      b.onDatagram = (bytes, from) => {
        b.send(bytes, from);
        return echoed(bytes, from);
      };
      for (let i = 0; i < 300; i++) {
        a.send(encoder.encode(`datagram ${i}`), at(b));
        if (i % 100 === 99) await theirs.until(i + 1);
      }
      const back = await mine.until(300);
      assert.deepEqual(
        back.map(({ text }) => text),
        Array.from({ length: 300 }, (_, i) => `datagram ${i}`),
      );
      assert.ok(back.every(({ from }) => from.equals(at(b))));
      assert.ok(theirs.got.every(({ from }) => from.equals(at(a))));
      await Promise.all([a.close(), b.close()]);
      assert.equal(mine.errors + theirs.errors, 0);
    });

    test(`${name}: lengths from 0 to the longest pass, beyond it nothing is sent`, { skip }, async () => {
      const [a, b] = [await open(address), await open(address)];
      const sender = listen(a);
      const { until } = listen(b);
      const lengths = [0, 1, 1500, 1857, 20_000, LONGEST_DATAGRAM];
      for (const [i, length] of lengths.entries()) {
        a.send(new Uint8Array(length).fill(65 + i), at(b));
        await until(i + 1);
      }
      const got = await until(lengths.length);
      for (const [i, length] of lengths.entries()) {
        assert.equal(got[i]!.text.length, length);
        assert.equal(got[i]!.text, String.fromCharCode(65 + i).repeat(length));
      }
      a.send(new Uint8Array(LONGEST_DATAGRAM + 1), at(b));
      assert.equal(sender.errors, 1);
      await Promise.all([a.close(), b.close()]);
      a.send(new Uint8Array(1), at(b));
      assert.equal(sender.errors, 2);
    });

    test(`${name}: what is sent is copied at once`, { skip }, async () => {
      const [a, b] = [await open(address), await open(address)];
      const { until } = listen(b);
      const bytes = encoder.encode('before');
      a.send(bytes, at(b));
      bytes.set(encoder.encode('after!'));
      a.send(bytes, at(b));
      assert.deepEqual(
        (await until(2)).map(({ text }) => text),
        ['before', 'after!'],
      );
      await Promise.all([a.close(), b.close()]);
    });

    test(`${name}: a port in use is refused with the system's code`, { skip }, async () => {
      const a = await open(address);
      await assert.rejects(open(address, a.local.port), { code: 'EADDRINUSE' });
      await a.close();
      const again = await open(address, a.local.port);
      await again.close();
    });

    test(`${name}: a closed peer and port 0 disturb nobody else`, { skip }, async () => {
      const [a, b, gone] = [await open(address), await open(address), await open(address)];
      const nobody = at(gone);
      await gone.close();
      const sender = listen(a);
      const { until } = listen(b);
      a.send(encoder.encode('lost'), nobody);
      a.send(encoder.encode('nowhere'), UdpEndpoint.from({ address, port: 0 })!);
      a.send(encoder.encode('one'), at(b));
      assert.equal((await until(1))[0]!.text, 'one');
      a.send(encoder.encode('two'), at(b));
      assert.equal((await until(2))[1]!.text, 'two');
      assert.equal(sender.errors, 1);
      await Promise.all([a.close(), b.close()]);
    });

    test(`${name}: a socket that is closed by its own handler is silent, and no descriptor is left`, {
      skip,
    }, async () => {
      const before = descriptors();
      const [a, b] = [await open(address), await open(address)];
      let taken = 0;
      const closed = new Promise<void>((resolve) => {
        b.onDatagram = () => {
          taken++;
          void b.close().then(resolve);
          return true;
        };
      });
      for (let i = 0; i < 20; i++) a.send(encoder.encode(`${i}`), at(b));
      await closed;
      assert.equal(taken, 1);
      await Promise.all([a.close(), b.close()]);
      assert.equal(descriptors(), before);
    });
  }

  test(`${implementation}: a socket on :: speaks IPv4 and IPv6, and says which`, { skip }, async () => {
    const both = await open('0::0');
    const [four, six] = [await open('127.0.0.1'), await open('::1')];
    const { until } = listen(both);
    four.send(encoder.encode('four'), at(both, '127.0.0.1'));
    await until(1);
    six.send(encoder.encode('six'), at(both, '::1'));
    const got = await until(2);
    assert.ok(got[0]!.from.equals(at(four)));
    assert.ok(got[1]!.from.equals(at(six)));
    const [fromFour, fromSix] = [listen(four), listen(six)];
    for (const { from, text } of got) both.send(encoder.encode(`to ${text}`), from);
    assert.equal((await fromFour.until(1))[0]!.text, 'to four');
    assert.equal((await fromSix.until(1))[0]!.text, 'to six');
    await Promise.all([both.close(), four.close(), six.close()]);
  });

  test(`${implementation}: a family that the socket does not carry is counted, not sent`, { skip }, async () => {
    const a = await open('127.0.0.1');
    const sender = listen(a);
    a.send(encoder.encode('x'), UdpEndpoint.from({ address: '::1', port: 9 })!);
    assert.equal(sender.errors, 1);
    await a.close();
  });

  const linkLocal = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ address }) => address.startsWith('fe80:'))?.address;
  test(`${implementation}: a link-local source is answered over its own link`, {
    skip: skip || (linkLocal === undefined && 'no interface has a link-local address'),
  }, async () => {
    const { createSocket } = await import('node:dgram');
    const scope = Object.entries(networkInterfaces()).find(([, list]) =>
      list?.some((i) => i.address === linkLocal),
    )![0];
    const both = await open('::');
    const peer = createSocket('udp6');
    peer.bind(0, `${linkLocal}%${scope}`);
    await once(peer, 'listening');
    both.onDatagram = (bytes, from) => {
      both.send(bytes, from);
      return true;
    };
    const answer = once(peer, 'message');
    peer.send('hello', both.local.port, `${linkLocal}%${scope}`);
    assert.equal(String((await answer)[0]), 'hello');
    peer.close();
    await both.close();
  });
}

function descriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

test('the thread waits for more only of what is worth it', { skip: problem ?? false }, async () => {
  const { gathering } = await import('./readiness.ts');
  await gatherPackets(1000, 2);
  try {
    for (const isWorth of [false, true]) {
      const [a, b] = [await openDatagramSocket(LOCAL), await openDatagramSocket(LOCAL)];
      let taken = 0;
      b.onDatagram = () => {
        taken++;
        return isWorth;
      };
      const before = gathering.sleptMs;
      for (let round = 1; round <= 30; round++) {
        for (let i = 0; i < 20; i++) a.send(encoder.encode('x'), at(b));
        while (taken < 20 * round) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await Promise.all([a.close(), b.close()]);
      assert.equal(gathering.sleptMs > before, isWorth);
    }
  } finally {
    await gatherPackets(0);
  }
});

test('the thread does not wait for more after a pass that brought plenty', { skip: problem ?? false }, async () => {
  const { gathering } = await import('./readiness.ts');
  await gatherPackets(1000, 2);
  const [a, b] = [await openDatagramSocket(LOCAL), await openDatagramSocket(LOCAL)];
  try {
    for (const atOnce of [100, 20]) {
      let taken = 0;
      let before = gathering.sleptMs;
      b.onDatagram = () => {
        taken++;
        return true;
      };
      for (let round = 1; round <= 30; round++) {
        for (let i = 0; i < atOnce; i++) a.send(encoder.encode('x'), at(b));
        while (taken < atOnce * round) await new Promise((resolve) => setTimeout(resolve, 2));
        if (round === 1) before = gathering.sleptMs; // what was read before may have been little
      }
      assert.equal(gathering.sleptMs > before, atOnce < 64, `${atOnce} at once`);
    }
  } finally {
    await Promise.all([a.close(), b.close()]);
    await gatherPackets(0);
  }
});

const LOCAL = { address: '127.0.0.1', port: 0, implementation: 'mmsg' } as const;
