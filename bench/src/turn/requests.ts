/** So many allocations, each by a client of its own address and with a channel to a peer of its own. */
export interface AllocateRequest {
  readonly kind: 'allocate';
  readonly count: number;
  readonly serverPort: number;
  readonly secret: string;
}

export interface Allocated {
  readonly count: number;
  readonly seconds: number;
  readonly retransmissions: number;
}
