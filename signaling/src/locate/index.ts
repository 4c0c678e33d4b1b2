export type { DnsReply, Question } from './dns.ts';
export { DnsClient, type DnsClientOptions } from './dns-client.ts';
export { type Hop, type HopTransport, hopLabel, type TlsPeer } from './hop.ts';
export * from './locate.ts';
export { Locator, type LocatorCommand, type OpenCommand, type Opened, type PeerOptions } from './locator.ts';
