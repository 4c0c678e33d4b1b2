import { parseIPv4, type SocketAddress } from '@offhook/core';

export interface PlainAddresses {
  /** Where to send and whose first packet locks the source; undefined = held (c=0.0.0.0) or no IP address. */
  readonly expected: SocketAddress | undefined;
  /** Further addresses that may turn out to be the source. */
  readonly allowed: readonly string[];
  /** False: somebody else than the signalling's sender was named, so little is sent there until it answers. */
  readonly confirmed: boolean;
}

/**
 * Whose media a plain leg takes. The SDP's address counts, and beside it that of the signalling; alone that of the
 * signalling when the SDP names a private address and the signalling came from a public one (the peer is behind NAT).
 * A phone on this very host that names one of the host's addresses sends from the one that it sends to, ours: that is
 * what its system chooses as the source (ip(7)).
 */
export function plainAddresses(
  at: SocketAddress,
  from: { readonly receivedFrom: string | undefined; readonly trustAddress: boolean },
  here: { readonly address: string; readonly isOwn: (address: string) => boolean },
): PlainAddresses {
  const found = ofSignalling(at, from.receivedFrom, from.trustAddress);
  if (!found.expected || found.allowed.includes(here.address) || !here.isOwn(found.expected.address)) return found;
  return { ...found, allowed: [...found.allowed, here.address] };
}

function ofSignalling(at: SocketAddress, receivedFrom: string | undefined, trustAddress: boolean): PlainAddresses {
  if (at.address === '0.0.0.0' || at.address === '::') return { expected: undefined, allowed: [], confirmed: false };
  if (!receivedFrom || trustAddress || receivedFrom === at.address) {
    return { expected: at, allowed: [at.address], confirmed: true };
  }
  if (isPrivate(at.address) && !isPrivate(receivedFrom)) {
    return { expected: { address: receivedFrom, port: at.port }, allowed: [receivedFrom], confirmed: true };
  }
  return { expected: at, allowed: [at.address, receivedFrom], confirmed: false };
}

/** Addresses that mean nothing outside their own network (RFC 6890: private, loopback, link-local, shared, ULA). */
function isPrivate(address: string): boolean {
  const v4 = parseIPv4(address);
  if (v4 === undefined) return /^(fc|fd|fe[89ab])/i.test(address) || address === '::1';
  const a = v4 >>> 24;
  const b = (v4 >>> 16) & 255;
  return (
    a === 10 ||
    a === 127 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128)
  );
}
