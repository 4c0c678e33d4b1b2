import { allocate } from './clients.ts';
import { CrowdSocket } from './crowd-socket.ts';
import type { Request } from './loads.ts';
import { type Ends, type Relayed, runLoad } from './traffic.ts';

/**
 * The load generator, a process of its own for all rounds: it has both ends of every flow and does one request after the
 * other. `generator.ts <client port> <peer port>`, requests and answers over Node's channel between processes.
 */
const [clientPort, peerPort] = process.argv.slice(2).map(Number) as [number, number];
const ends: Ends = { clients: new CrowdSocket(clientPort), peers: new CrowdSocket(peerPort), clientPort, peerPort };
let relayed: Relayed | undefined;

function serve(request: Request): unknown {
  if (request.kind === 'load') return runLoad(ends, request.path === 'relay' ? relayed : undefined, request);
  const { ports, allocated } = allocate(ends, request);
  relayed = { serverPort: request.serverPort, ports };
  return allocated;
}

process.on('message', (request: Request) => {
  try {
    process.send!({ answer: serve(request) });
  } catch (error) {
    process.send!({ failed: (error as Error).message });
  }
});
process.on('disconnect', () => process.exit(0));
process.send!({ answer: { receiveBuffer: ends.clients.receiveBuffer } });
