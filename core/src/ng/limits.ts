/** Limits on what comes from outside. */
export const NG_LIMITS = {
  /** Bytes of one message; also the longest UDP datagram. */
  bytes: 65_535,
  /** Dictionaries and lists inside each other. */
  depth: 16,
  /** Values of one message, nested ones included. */
  values: 10_000,
  /** Characters of a cookie. */
  cookie: 255,
} as const;
