import { serveGenerator } from '../load/generator.ts';
import { makeWire } from '../load/wire.ts';
import { allocate } from './clients.ts';
import type { AllocateRequest } from './requests.ts';

const CHANNEL_HEADER = 4;

/** The load generator with allocations on the relay: even flows go to the server as ChannelData, odd ones to relayed addresses. */
serveGenerator<AllocateRequest>((ends, request) => {
  const { ports, allocated } = allocate(ends, request);
  const portOf = (flow: number) => (flow % 2 === 0 ? request.serverPort : ports[flow >> 1]!);
  const framing = { clientHead: CHANNEL_HEADER, clientTail: 0, peerTail: 0 };
  return { wire: makeWire(2 * ports.length, ends, portOf, framing), answer: allocated };
});
