import { isLoopback, type SocketAddress } from '@offhook/core';
import type { MuxPort } from '../ice/index.ts';
import type { RtpInterface } from './interfaces.ts';

/**
 * What a leg over ICE names of the mux ports, the best first. With the name of a network (`direction`) only what is on its
 * addresses, or, where no mux port is, everything but loopback. Without one everything; loopback comes last, for a browser on this
 * machine or a machine that has nothing else.
 */
export function candidatesOf(
  muxes: readonly MuxPort[],
  interfaces: readonly RtpInterface[],
  network: string | undefined,
): readonly SocketAddress[] {
  const named = network === undefined ? [] : interfaces.filter((one) => one.name === network);
  const onNamed = muxes.flatMap((mux) => {
    return interfaceOf(mux, named) ? [{ address: muxAddresses(mux, named)[0]!, port: mux.udp.local.port }] : [];
  });
  if (onNamed.length > 0) return onNamed;
  const all = muxes.flatMap((mux) =>
    muxAddresses(mux, interfaces).map((address) => ({ address, port: mux.udp.local.port })),
  );
  const reachable = all.filter(({ address }) => !isLoopback(address));
  if (network !== undefined && reachable.length > 0) return reachable;
  return [...reachable, ...all.filter(({ address }) => isLoopback(address))];
}

/** Every address that peers are told of a mux port: what is advertised for it, else for its interface, and then its own. */
export function muxAddresses(mux: MuxPort, interfaces: readonly RtpInterface[]): readonly string[] {
  const hasOwn = mux.address !== mux.udp.local.address;
  const advertised = hasOwn ? undefined : interfaceOf(mux, interfaces)?.advertised;
  return advertised === undefined || advertised === mux.address ? [mux.address] : [advertised, mux.address];
}

function interfaceOf({ udp, address }: MuxPort, interfaces: readonly RtpInterface[]): RtpInterface | undefined {
  return interfaces.find((one) => one.address === udp.local.address || one.advertised === address);
}
