export { PresenceLayer, type PresenceNews } from './layer.ts';
export type { Presence } from './presence.ts';
