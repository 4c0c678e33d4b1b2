/** What is asked of name servers. */
export type RecordType = 'A' | 'AAAA' | 'SRV' | 'NAPTR';

export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

/** Names are in lower case and without their last dot; `.` alone is the root. */
export type DnsRecord = { readonly name: string; readonly ttlS: number } & (
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME'; readonly target: string }
  | SrvRecord
  | NaptrRecord
);

/** RFC 2782. */
export interface SrvRecord {
  readonly type: 'SRV';
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** RFC 3403 4.1. */
export interface NaptrRecord {
  readonly type: 'NAPTR';
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly services: string;
  readonly regexp: string;
  readonly replacement: string;
}

/** What came of a question: an answer of a name server, be it that there is nothing, or none. */
export type DnsReply =
  | {
      readonly kind: 'answer';
      /** NXDOMAIN: not even the name exists. */
      readonly rcode: 'NOERROR' | 'NXDOMAIN';
      readonly answers: readonly DnsRecord[];
      readonly additionals: readonly DnsRecord[];
      /** How long nothing may be believed (RFC 2308 5). */
      readonly negativeTtlS?: number;
    }
  /** `rcode` is what the last server to say anything said; without it nobody did. */
  | { readonly kind: 'failure'; readonly rcode?: string };
