export { type MessageCommand, MessageLayer } from './layer.ts';
export type { MessageNews, PagerMessage } from './message.ts';
