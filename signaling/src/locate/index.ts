export type { DnsReply } from './dns.ts';
export { DnsClient, serverAt } from './dns-client.ts';
export { type Hop, type HopTransport, hopLabel, type TlsPeer } from './hop.ts';
export * from './locate.ts';
export {
  Locator,
  type LocatorCommand,
  type LocatorOptions,
  type Opened,
} from './locator.ts';
