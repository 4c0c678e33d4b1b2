/** Plain counters, read at scrape. */
export class TurnStats {
  bindings = 0;
  allocationsMade = 0;
  allocationsEnded = 0;
  allocationsExpired = 0;
  packetsToPeers = 0;
  bytesToPeers = 0;
  packetsToClients = 0;
  bytesToClients = 0;
  /** Neither STUN nor ChannelData, or malformed. */
  droppedMalformed = 0;
  /** Unsigned requests above the limit of their source, not answered. */
  droppedLimited = 0;
  /** From a client without an allocation, on an unbound channel, to a peer without permission. */
  droppedFromClients = 0;
  /** From peers without permission, or not allowed by the rules. */
  droppedFromPeers = 0;
  /** Above what an allocation or its user may send. */
  droppedByRate = 0;
  /** ICMP messages told to clients. */
  icmp = 0;
  /** Error responses by code. */
  readonly errors = new Map<number, number>();

  countError(code: number): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}
