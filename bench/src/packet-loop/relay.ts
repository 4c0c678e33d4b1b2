import { createSocket } from 'node:dgram';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { blockingPacketServer, EndpointTable, gatherPackets, openUdpPort, UdpEndpoint } from '@offhook/core/node';

/**
 * The relay under test: one port, every RTP packet goes to the sink after a source look-up, a header check and a
 * counter per source. `relay.ts <variant> <sinkPort> <sourcePort,…>` prints its port.
 */
export type RelayVariant = 'dgram' | 'loop' | 'loop+500' | 'thread' | 'thread+500';

interface Work {
  readonly variant: RelayVariant;
  readonly sinkPort: number;
  readonly sources: readonly number[];
}

const host = '127.0.0.1';

async function servePort(work: Work, report: (port: number) => void): Promise<void> {
  const gather = work.variant.endsWith('+500') ? 500 : 0;
  await gatherPackets(gather);
  const port = await openUdpPort({ address: host, port: 0, receiveBuffer: 4 << 20, implementation: 'mmsg' });
  const sink = UdpEndpoint.from({ address: host, port: work.sinkPort })!;
  const table = new EndpointTable(0x5eed, 1024);
  for (const [i, source] of work.sources.entries()) table.set(UdpEndpoint.from({ address: host, port: source })!, i);
  const packets = new Float64Array(work.sources.length);
  const { rx } = port;
  port.onReadable = () => {
    const n = port.fill();
    for (let i = 0; i < n; i++) {
      const flow = table.find(rx, i);
      const offset = rx.offset[i]!;
      if (flow < 0 || rx.bytes[offset]! >> 6 !== 2) continue;
      packets[flow]!++;
      port.stage(offset, rx.length[i]!, sink);
    }
  };
  report(port.local.port);
  if (work.variant.startsWith('loop')) return;
  const serve = await blockingPacketServer();
  for (;;) serve(100);
}

function serveDgram(work: Work): void {
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: 4 << 20,
    lookup: (name, _, done) => done(null, name, 4),
  });
  const flows = new Map(work.sources.map((port, i) => [port, i]));
  const packets = new Float64Array(work.sources.length);
  socket.on('message', (bytes, from) => {
    const flow = flows.get(from.port);
    if (flow === undefined || bytes[0]! >> 6 !== 2) return;
    packets[flow]!++;
    socket.send(bytes, work.sinkPort, host);
  });
  socket.bind(0, host, () => process.stdout.write(`${socket.address().port}\n`));
}

if (isMainThread) {
  const [variant, sinkPort, sources] = process.argv.slice(2) as [RelayVariant, string, string];
  const work: Work = { variant, sinkPort: Number(sinkPort), sources: sources.split(',').map(Number) };
  if (variant === 'dgram') serveDgram(work);
  else if (variant.startsWith('loop')) await servePort(work, (port) => process.stdout.write(`${port}\n`));
  else {
    const worker = new Worker(new URL(import.meta.url), { workerData: work });
    worker.on('message', (port: number) => process.stdout.write(`${port}\n`));
  }
} else {
  await servePort(workerData as Work, (port) => parentPort!.postMessage(port));
}
