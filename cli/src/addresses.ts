import { networkInterfaces } from 'node:os';

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
