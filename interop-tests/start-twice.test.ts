import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lacking } from './src/peers.ts';
import { alawPcap, sipp } from './src/sipp.ts';
import { anyPorts, System, scratchFolder } from './src/system.ts';

const skip = lacking('sipp');

const folder = scratchFolder();
const offhook = join(import.meta.dirname, '../cli/bin/offhook.mjs');

after(() => folder.remove());

async function echoWorks(system: System): Promise<void> {
  await system.addUser('tester', 'Trumpet-44-x');
  const run = await sipp({
    folder: folder.path,
    scenario: 'echo-with-media.xml',
    replace: { PCAP: alawPcap() },
    server: `127.0.0.1:${system.ports.udp}`,
    user: 'tester',
    password: 'Trumpet-44-x',
    domain: system.domain,
    calls: 1,
  });
  assert.equal(run.failed, 0, run.output);
}

test('a second `offhook start` on the same data folder says in words that one runs already and disturbs nothing', {
  skip,
}, async () => {
  await using system = await System.start({ folder: folder.path });
  const before = await system.pids();
  const { code, said } = await new Promise<{ code: number | null; said: string }>((resolve) => {
    const child = execFile(process.execPath, [offhook, 'start', '--config', system.config], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, said: stdout + stderr }),
    );
  });
  assert.equal(code, 1);
  assert.match(
    said,
    /^Offhook runs already with the data folder \/.*\. See '.*offhook.* status.*', or stop it with '.*offhook.* stop.*'\.\n$/,
  );
  assert.deepEqual(await system.pids(), before);
  await echoWorks(system);
});

test('ports that other programs have are passed over, `offhook start` says which and what it uses instead, and calls work', {
  skip,
}, async () => {
  const taken: (Socket | Server)[] = [];
  const takeUdp = async (port = 0) => {
    const socket = createSocket('udp4');
    taken.push(socket);
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return socket.address().port;
  };
  const takeTcp = async (port = 0) => {
    const server = createServer();
    taken.push(server);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  };
  try {
    const http = await takeTcp();
    const sip = await takeUdp(await takeTcp());
    const [turn, mux] = [await takeUdp(), await takeUdp()];
    // NG's usual port; one that is set would not be passed over. Whoever has it already takes it for us
    const ng = 2223;
    await takeUdp(ng).catch((error: NodeJS.ErrnoException) => assert.equal(error.code, 'EADDRINUSE'));
    const free = anyPorts() as Record<'media' | 'turn', object>;
    const settings = {
      http: { port: http },
      sip: { port: sip },
      media: { ...free.media, ngPort: undefined, muxPort: mux },
      turn: { ...free.turn, port: turn },
    };
    await using system = await System.start({ folder: folder.path, settings });
    const real = { ...system.ports, ...(await system.udpPorts()) };
    const lines: readonly [string, number, number][] = [
      ['the web phone', http, real.http!],
      ['SIP over UDP', sip, real.udp!],
      ['SIP over TCP', sip, real.tcp!],
      ['TURN', turn, real.turn!],
    ];
    for (const [what, wanted, instead] of lines) {
      assert.notEqual(instead, wanted, what);
      const line = `port ${wanted} is taken by another program; ${what} uses ${instead} instead\n`;
      assert.ok(system.said.includes(line), `not said: ${line}${system.said}`);
    }
    assert.notEqual(real.ng, ng);
    assert.notEqual(real.mux, mux);
    assert.equal((await fetch(`${system.httpUrl}/healthz`)).status, 200);
    await echoWorks(system);
    await system.assertNothingLeft();
  } finally {
    for (const one of taken) one.close();
  }
});
