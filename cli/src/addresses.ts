import { networkInterfaces } from 'node:os';

/** Where this machine reaches itself: IPv4 first, and IPv6 where it is turned on. */
export function loopbackAddresses(): string[] {
  const has6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
  return has6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}

/** This host's IPv4 addresses that others can reach: not loopback, not link-local; the first one is the one to name. */
export function hostAddresses(): string[] {
  const found: string[] = [];
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? []) {
      if (family === 'IPv4' && !internal && !address.startsWith('169.254.') && !found.includes(address))
        found.push(address);
    }
  }
  return found;
}
