/** The SIP server: as a part (`startSignaling`) and as one machine without sockets (`SipCore`). */
export type { RelayedCall } from './call/index.ts';
export type { SignalingConfig } from './config.ts';
export { Dialog } from './dialog/index.ts';
export { MediaClient, type MediaClientCommand, type NgResult, openRelaySockets, parseRelay } from './media/index.ts';
export { readXml, type XmlElement } from './presence/index.ts';
export { checkRoutes, type RouteReport, tryRoutes } from './routing/index.ts';
export type { BanStatus } from './server/ban-verb.ts';
export { SipCore } from './server/core.ts';
export type { SipCoreCommand, SipCoreOptions } from './server/core-seam.ts';
export { startSignaling } from './server/server.ts';
export { type Account, type Cdr, type CdrPage, cdrsAsCsv, openStore, type Store, StoreError } from './store/index.ts';
export { type Admission, type Flow, type TransactionCommand, TransactionLayer } from './transaction/index.ts';
export { Credentials, type TrunkStatus } from './trunk/index.ts';
