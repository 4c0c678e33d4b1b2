/** Limits on what comes from outside; a message beyond one of them is refused, never cut. */
export const SIP_LIMITS = {
  /** A framed message on TCP, TLS or WebSocket; a UDP datagram can't be longer than 65,507 bytes. */
  messageBytes: 64 * 1024,
  headers: 128,
  lineBytes: 8 * 1024,
  vias: 70,
  routes: 32,
  contacts: 10,
  uri: 1024,
  displayName: 256,
  callId: 256,
  branch: 256,
  /** RFC 4475 3.1.1.7 has a valid one of 155. */
  tag: 256,
  method: 64,
} as const;
