// A flood against TURN in a program of its own: `turn-flood-sender.ts <task as JSON>`. Its last line says what it has sent and
// how many answers came.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { StunAttribute, StunClass, StunMethod, StunWriter } from '@offhook/core';
import { openUdpPort, UdpEndpoint } from '@offhook/core/node';

export interface TurnFloodTask {
  /** Allocates from many sources; from one source; random bytes; TLS connections on which nothing follows. */
  readonly kind: 'many sources' | 'one source' | 'garbage' | 'half-open TLS';
  readonly udp: number;
  readonly tls: number;
  readonly perS: number;
  readonly seconds: number;
  readonly sources: number;
}

const TICK_MS = 2;
const MOST_OPEN = 2000;
const task = JSON.parse(process.argv[2]!) as TurnFloodTask;
process.stdout.write(`${JSON.stringify(task.kind === 'half-open TLS' ? await connections() : await datagrams())}\n`);
process.exit();

async function datagrams(): Promise<{ sent: number; answered: number }> {
  const to = UdpEndpoint.from({ address: '127.0.0.1', port: task.udp })!;
  const count = task.kind === 'one source' ? 1 : task.sources;
  const ports = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      openUdpPort({ address: `127.20.${i >> 8}.${i & 255}`, port: 0, burst: 'few' }),
    ),
  );
  let answered = 0;
  for (const port of ports) {
    port.onReadable = () => {
      answered += port.fill();
    };
  }
  const garbage = randomBytes(1 << 16);
  const sent = await atRate((n) => {
    const port = ports[n % ports.length]!;
    const offset = port.reserve();
    const bytes = port.rx.bytes.subarray(offset, offset + 200);
    if (task.kind === 'garbage') {
      bytes.set(garbage.subarray((n * 7) % 60_000, ((n * 7) % 60_000) + 200));
      port.stage(offset, 1 + (n % 200), to);
      return;
    }
    const id = new Uint8Array(12);
    new DataView(id.buffer).setUint32(8, n);
    const writer = new StunWriter(bytes).start(StunClass.request, StunMethod.allocate, id);
    const length = writer.u32(StunAttribute.requestedTransport, 17 << 24).finish();
    port.stage(offset, length, to);
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const port of ports) port.close();
  return { sent, answered };
}

async function connections(): Promise<{ sent: number; answered: number }> {
  const open: Socket[] = [];
  const sent = await atRate(() => {
    const socket = connect({ host: '127.0.0.1', port: task.tls });
    socket.on('error', () => {});
    open.push(socket);
    if (open.length > MOST_OPEN) open.shift()!.destroy();
  });
  for (const socket of open) socket.destroy();
  return { sent, answered: 0 };
}

/** So many calls a second, as evenly as a timer allows. */
async function atRate(send: (n: number) => void): Promise<number> {
  const began = performance.now();
  let n = 0;
  for (;;) {
    const elapsed = performance.now() - began;
    if (elapsed >= task.seconds * 1000) return n;
    const due = Math.floor((elapsed / 1000) * task.perS);
    while (n < due) send(n++);
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}
