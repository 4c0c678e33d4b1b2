/** What TCP and TLS connections may cost, whoever has them; what may be configured is in `TurnLimits`. */
export interface StreamLimits {
  /** Messages of one connection that are handled in a turn of the loop; the rest of what it has sent waits. */
  readonly messagesPerTurn: number;
  /** Messages of all connections in a turn; those that waited come first in the next one. */
  readonly allMessagesPerTurn: number;
  /** Messages that came to nothing on a connection without an allocation; it is cut off at the next one. */
  readonly worthlessMessages: number;
  /** TLS handshakes at a time, some 40 KiB each; the oldest gives way, as one that is meant takes a fraction of a second. */
  readonly handshakes: number;
  /** TLS handshakes per second and network (`networkOf`): a millisecond of the processor each. */
  readonly handshakesPerS: number;
  /** As many at once. */
  readonly handshakeBurst: number;
}

export const STREAM_LIMITS: StreamLimits = {
  messagesPerTurn: 32,
  allMessagesPerTurn: 128,
  worthlessMessages: 100,
  handshakes: 256,
  handshakesPerS: 20,
  handshakeBurst: 100,
};
