import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchedUdpProblem, openUdpPort, UdpEndpoint, type UdpPort } from './index.ts';

const problem = await batchedUdpProblem();

interface Told {
  readonly to: UdpEndpoint;
  readonly type: number;
  readonly code: number;
  readonly data: number;
}

/** What the port is told from now on. */
function listen(port: UdpPort): Told[] {
  const told: Told[] = [];
  port.onIcmp = (to, type, code, data) => told.push({ to, type, code, data });
  port.onReadable = () => {
    port.fill();
  };
  return told;
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
};

for (const address of ['127.0.0.1', '::1']) {
  // Port unreachable: RFC 792, RFC 4443 3.1
  const [type, code] = address === '::1' ? [1, 4] : [3, 3];

  async function closedPort(): Promise<UdpEndpoint> {
    const gone = await openUdpPort({ address, port: 0 });
    gone.close();
    return UdpEndpoint.from(gone.local)!;
  }

  for (const implementation of ['mmsg', 'dgram'] as const) {
    const skip = implementation === 'mmsg' && problem ? problem : false;
    const name = `${implementation} ${address}`;

    test(`${name}: a closed peer is told where that is wanted and possible, and disturbs nobody`, {
      skip,
    }, async () => {
      for (const icmp of [true, false]) {
        const a = await openUdpPort({ address, port: 0, implementation, icmp });
        const b = await openUdpPort({ address, port: 0, implementation });
        const told = listen(a);
        const toGone = await closedPort();
        const to = UdpEndpoint.from(b.local)!;
        let got = 0;
        const arrived = new Promise<void>((resolve) => {
          b.onReadable = () => {
            got += b.fill();
            if (got === 40) resolve();
          };
        });
        for (let i = 0; i < 20; i++) {
          a.send(new Uint8Array(10), toGone);
          a.send(new Uint8Array(10), to);
          a.send(new Uint8Array(10), to);
          await turns(2);
        }
        await arrived;
        await turns(3);
        if (implementation === 'mmsg' && icmp) {
          assert.ok(told.length > 0);
          for (const error of told) {
            assert.ok(error.to.equals(toGone));
            assert.deepEqual({ type: error.type, code: error.code, data: error.data }, { type, code, data: 0 });
          }
        } else assert.equal(told.length, 0);
        assert.equal(a.stats.sendErrors, 0);
        assert.equal(a.stats.sent, 60);
        a.close();
        b.close();
      }
    });
  }

  test(`${address}: a flood of errors is told sixteen at a time, the rest is dropped and packets still come`, {
    skip: problem ?? false,
  }, async () => {
    const a = await openUdpPort({ address, port: 0, icmp: true });
    const toGone = await closedPort();
    for (let i = 0; i < 100; i++) {
      a.send(new Uint8Array(10), toGone);
      a.flush();
    }
    const self = UdpEndpoint.from(a.local)!;
    const told = listen(a);
    const read = new Promise<void>((resolve) => {
      a.onReadable = () => {
        if (a.fill() > 0) resolve();
      };
    });
    a.send(new Uint8Array(1), self);
    await read;
    assert.ok(told.length > 1 && told.length <= 16, `${told.length}`);
    a.close();
  });

  test(`${address}: a port may be closed while it is told`, { skip: problem ?? false }, async () => {
    const a = await openUdpPort({ address, port: 0, icmp: true });
    const toGone = await closedPort();
    let told = 0;
    const done = new Promise<void>((resolve) => {
      a.onIcmp = () => {
        told++;
        a.close();
        resolve();
      };
    });
    a.onReadable = () => {
      a.fill();
    };
    for (let i = 0; i < 5; i++) {
      a.send(new Uint8Array(10), toGone);
      a.flush();
    }
    await done;
    await turns(3);
    assert.equal(told, 1);
  });
}
