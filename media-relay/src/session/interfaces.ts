import { ipFamily } from '@offhook/core';

/** An address for plain RTP. Several of one name are one network with several addresses, such as IPv4 and IPv6. */
export interface RtpInterface {
  readonly name: string;
  /** Where ports are opened. */
  readonly address: string;
  /** What SDP says in its place: the public address of a NAT or of a container's host. */
  readonly advertised?: string;
}

export interface RtpAddressSettings {
  readonly address?: string;
  readonly advertised?: string;
  readonly interfaces?: readonly RtpInterface[];
}

/** What the single address is called where no interfaces are configured. */
const DEFAULT_NAME = 'default';

/** All interfaces of the settings, the default one first; without any, what the single address says is one. */
export function rtpInterfaces({ address, advertised, interfaces }: RtpAddressSettings): readonly RtpInterface[] {
  if (interfaces && interfaces.length > 0) return interfaces;
  if (address === undefined) throw new Error('rtp needs an address, or interfaces');
  return [{ name: DEFAULT_NAME, address, ...(advertised === undefined ? {} : { advertised }) }];
}

/** Whether the settings can be used, in words. */
export function interfaceProblem(interfaces: readonly RtpInterface[]): string | undefined {
  for (const { name, address, advertised } of interfaces) {
    if (name === '' || name.length > 64) return 'rtp.interfaces: a name has 1 to 64 characters';
    if (ipFamily(address) === undefined) return `rtp.interfaces: '${address}' is no IP address`;
    if (advertised !== undefined && ipFamily(advertised) !== ipFamily(address)) {
      return `rtp.interfaces: '${advertised}' is no address of the family of ${address}`;
    }
  }
  return undefined;
}

/** rtpengine's old names, which say nothing where there is a single address. */
const LEGACY: ReadonlySet<string> = new Set(['internal', 'external']);

export interface InterfaceWish {
  readonly name: string | undefined;
  /** Has to be had, or the reason is told. */
  readonly family?: 4 | 6 | undefined;
  /** Taken if it can be had. */
  readonly liked?: 4 | 6 | undefined;
}

export interface InterfaceChoice {
  readonly chosen: RtpInterface;
  /** The wished name, where there is an interface of that name. */
  readonly network?: string;
  readonly warning?: string;
}

/** The interface for a leg. A name nobody has means the default one, as with rtpengine, and the words that say so. */
export function chooseInterface(
  all: readonly RtpInterface[],
  { name, family, liked }: InterfaceWish,
): InterfaceChoice | { readonly error: string } {
  const named = name === undefined ? [] : all.filter((one) => one.name === name);
  const group = named.length > 0 ? named : all.filter((one) => one.name === all[0]!.name);
  const ofFamily = (wanted: 4 | 6 | undefined) => group.find((one) => ipFamily(one.address) === wanted);
  if (family !== undefined && !ofFamily(family)) {
    return { error: `address-family: interface '${group[0]!.name}' has no IPv${family} address` };
  }
  const chosen = ofFamily(family ?? liked) ?? group[0]!;
  if (name === undefined) return { chosen };
  if (named.length > 0) return { chosen, network: name };
  if (LEGACY.has(name) && all[0]!.name === DEFAULT_NAME) return { chosen };
  return { chosen, warning: `there is no interface '${name.slice(0, 64)}'; '${chosen.name}' is used` };
}
