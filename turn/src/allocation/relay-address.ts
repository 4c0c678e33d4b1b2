/** An address that relay sockets are made on. */
export interface RelayAddress {
  /** Local IP address. */
  readonly address: string;
  /** What peers and clients are told instead, behind one-to-one NAT. */
  readonly external?: string;
}
