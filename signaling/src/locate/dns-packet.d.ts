/** What is used of npm's dns-packet, which brings no types. */
declare module 'dns-packet' {
  interface Packet {
    readonly id?: number;
    readonly type?: 'query' | 'response';
    readonly flags?: number;
    readonly rcode?: string;
    readonly flag_tc?: boolean;
    readonly questions?: readonly { readonly name: string; readonly type: string; readonly class?: string }[];
    readonly answers?: readonly Resource[];
    readonly authorities?: readonly Resource[];
    readonly additionals?: readonly Resource[];
  }

  interface Resource {
    readonly name: string;
    readonly type: string;
    readonly class?: string;
    readonly ttl?: number;
    readonly data?: unknown;
    readonly udpPayloadSize?: number;
  }

  const RECURSION_DESIRED: number;
  const TRUNCATED_RESPONSE: number;
  function encode(packet: Packet): Buffer;
  function decode(bytes: Buffer): Packet;
}
