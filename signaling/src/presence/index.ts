export { eventOf } from './event-package.ts';
export { PresenceLayer, type PresenceNews } from './layer.ts';
export type { NotifierCommand } from './notifier.ts';
export type { Presence } from './presence.ts';
export type { SubscriptionSnapshot } from './snapshot.ts';
export { readXml, type XmlElement } from './xml.ts';
