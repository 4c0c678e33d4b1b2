import { CrowdSocket } from './crowd-socket.ts';
import type { LoadRequest } from './loads.ts';
import { runLoad } from './traffic.ts';
import type { Ends, Wire } from './wire.ts';

/**
 * The load generator, a process of its own for all rounds: it has both ends of every flow and does one request after the
 * other. Its arguments are the clients' and the peers' port; requests and answers go over Node's channel between processes.
 *
 * @param setUp makes the relay ready for the flows, whatever that takes, and answers the wire that loads go over then
 */
export function serveGenerator<S extends { readonly kind: string }>(
  setUp: (ends: Ends, request: S) => { readonly wire: Wire; readonly answer: unknown },
): void {
  const [clientPort, peerPort] = process.argv.slice(2).map(Number) as [number, number];
  const ends: Ends = { clients: new CrowdSocket(clientPort), peers: new CrowdSocket(peerPort), clientPort, peerPort };
  let relayed: Wire | undefined;

  const serve = (request: S | LoadRequest): unknown => {
    if (isLoad(request)) return runLoad(ends, request.path === 'relay' ? relayed : undefined, request);
    const { wire, answer } = setUp(ends, request);
    relayed = wire;
    return answer;
  };
  process.on('message', (request: S | LoadRequest) => {
    try {
      process.send!({ answer: serve(request) });
    } catch (error) {
      process.send!({ failed: (error as Error).message });
    }
  });
  process.on('disconnect', () => process.exit(0));
  process.send!({ answer: { receiveBuffer: ends.clients.receiveBuffer } });
}

function isLoad(request: { readonly kind: string }): request is LoadRequest {
  return request.kind === 'load';
}
