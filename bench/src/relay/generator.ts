import { SrtpContext } from '@offhook/media-relay';
import { serveGenerator } from '../load/generator.ts';
import { makeWire } from '../load/wire.ts';
import { checkConnectivity } from './checks.ts';
import type { CallsRequest } from './requests.ts';

const KEY_BYTES = 16;

/** The load generator with calls on a media relay; what comes from the relay encrypted is counted, not opened. */
serveGenerator<CallsRequest>((ends, { flows, peerTail }) => {
  checkConnectivity(ends, flows);
  const contexts = flows.map(({ key }) => {
    if (key === undefined) return undefined;
    const bytes = Buffer.from(key, 'base64');
    const keys = { key: bytes.subarray(0, KEY_BYTES), salt: bytes.subarray(KEY_BYTES) };
    return new SrtpContext({ profile: 'AES_CM_128_HMAC_SHA1_80', ...keys }, 'protect');
  });
  const protect = (flow: number, bytes: Uint8Array, offset: number, length: number) => {
    const context = contexts[flow];
    return context ? context.protect(bytes, offset, length) : length;
  };
  const framing = { clientHead: 0, clientTail: 0, peerTail, protect };
  return { wire: makeWire(flows.length, ends, (flow) => flows[flow]!.port, framing), answer: flows.length };
});
