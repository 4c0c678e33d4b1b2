import { ipFamily, parseUri, type SocketAddress } from '@offhook/core';
import type { Locate } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';

/** Finds what is written as an address and reached over UDP. */
export function locateLiteral(flowTo: (remote: SocketAddress) => Flow | undefined): Locate {
  return (text, nowMs, then) => {
    const uri = parseUri(text);
    const isUdp = uri?.scheme === 'sip' && (uri.params.get('transport') ?? 'udp').toLowerCase() === 'udp';
    const flow =
      isUdp && ipFamily(uri.host) !== undefined ? flowTo({ address: uri.host, port: uri.port ?? 5060 }) : undefined;
    if (!flow) then({ error: `${text} can’t be reached` }, nowMs);
    else then({ flow, next: (now) => then({ error: `${text} has no other address` }, now) }, nowMs);
  };
}
