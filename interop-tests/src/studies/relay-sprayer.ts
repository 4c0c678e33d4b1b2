// Sprays a media relay from a host that has no part in any call: `relay-sprayer.ts <task as JSON>`. Its last line says what it
// has sent and what came back.
import { randomBytes } from 'node:crypto';
import { StunClass, StunMethod, StunWriter, writeU32 } from '@offhook/core';
import { openUdpPort, UdpEndpoint } from '@offhook/core/node';

export interface SprayTask {
  /** Where media of calls goes; the ports behind them, for RTCP, are sprayed as well. */
  readonly ports: readonly number[];
  readonly mux: number;
  /** SSRCs of calls, as somebody on the way would know them; the n-th port's. */
  readonly ssrcs: readonly number[];
  readonly perS: number;
  readonly seconds: number;
  readonly sources: number;
}

const TICK_MS = 2;
const task = JSON.parse(process.argv[2]!) as SprayTask;
const sockets = await Promise.all(
  Array.from({ length: task.sources }, (_, i) => openUdpPort({ address: `127.66.0.${i + 1}`, port: 0 })),
);
const told = { sent: 0, media: 0, others: 0 };
for (const socket of sockets) {
  socket.onReadable = () => {
    const n = socket.fill();
    const { bytes, offset } = socket.rx;
    for (let i = 0; i < n; i++) {
      const first = bytes[offset[i]!]!;
      if (first >= 128 && first < 192) told.media++;
      else told.others++;
    }
  };
}
const noise = randomBytes(1 << 16);
const at = (port: number) => UdpEndpoint.from({ address: '127.0.0.1', port })!;
const rtp = task.ports.map(at);
const rtcp = task.ports.map((port) => at(port + 1));
const mux = at(task.mux);

/** One packet of one kind after the other, to one port after the other. */
function spray(n: number): void {
  const socket = sockets[n % sockets.length]!;
  const target = Math.floor(n / 8) % rtp.length;
  const offset = socket.reserve();
  const bytes = socket.rx.bytes.subarray(offset, offset + 200);
  bytes.set(noise.subarray((n * 13) % 60_000, ((n * 13) % 60_000) + 200));
  const rtpWith = (ssrc: number) => {
    bytes[0] = 0x80;
    bytes[1] = 0;
    writeU32(bytes, 8, ssrc);
  };
  const kind = n % 8;
  const to = kind === 3 || kind === 4 ? rtcp[target]! : kind === 7 ? mux : rtp[target]!;
  let length = 172;
  if (kind < 2) rtpWith((n * 2654435761) >>> 0);
  else if (kind === 2 || kind === 3) rtpWith(task.ssrcs[target]!);
  else if (kind === 4) {
    // BYE of a stream that is heard there (RFC 3550 6.6)
    bytes.set([0x81, 203, 0, 1]);
    writeU32(bytes, 4, task.ssrcs[target]!);
    length = 8;
  } else if (kind === 5) bytes.set([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 150, 1]);
  else if (kind === 7 && n % 16 === 7)
    length = new StunWriter(bytes)
      .start(StunClass.request, StunMethod.binding, noise.subarray(n % 1000, (n % 1000) + 12))
      .finish();
  socket.stage(offset, length, to);
  told.sent++;
}

const began = performance.now();
for (;;) {
  const elapsed = performance.now() - began;
  if (elapsed >= task.seconds * 1000) break;
  const due = Math.floor((elapsed / 1000) * task.perS);
  while (told.sent < due) spray(told.sent);
  await new Promise((resolve) => setTimeout(resolve, TICK_MS));
}
await new Promise((resolve) => setTimeout(resolve, 500));
for (const socket of sockets) socket.close();
process.stdout.write(`${JSON.stringify(told)}\n`);
process.exit();
