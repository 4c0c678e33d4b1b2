/** A text or other message from one account to another (RFC 3428), as it is kept until somebody has it. */
export interface PagerMessage {
  /** The same for every copy that the sender sends: an HMAC of sender, Call-ID, From tag and CSeq. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** The one phone it is for, when it was sent to a GRUU (RFC 5627). */
  readonly instance?: string;
  /** The sender is not to be shown (RFC 3323). */
  readonly isPrivate?: boolean;
  /** The sender's Call-ID, by which the sender knows it. */
  readonly callId: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** What else passes from end to end, name and value. */
  readonly headers: readonly (readonly [string, string])[];
  /** Unix milliseconds: when it came, and when nobody needs it any more. */
  readonly sentAt: number;
  readonly expiresAt: number;
}

/** What became of a message, for those who watch; the text is nobody else's. */
export interface MessageNews {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly isPrivate?: boolean;
  readonly state: 'delivered' | 'stored' | 'failed' | 'expired';
  readonly reason?: string;
}

export interface MessageLimits {
  /** Messages that wait for one user, those of one sender among them, and all. */
  readonly perUser: number;
  readonly perSender: number;
  readonly all: number;
  /** Bytes of what waits in all. */
  readonly bytes: number;
  /** How long a message waits for its user, seconds; an Expires of the sender may be shorter (RFC 3428 7). */
  readonly keepS: number;
  /** After so long without an answer of a phone the sender is told that the message is kept (RFC 4320: before 32 s). */
  readonly answerMs: number;
  /** How long the next message waits for phones that are slower than the first one. */
  readonly slowPhoneMs: number;
}

export const MESSAGE_LIMITS: MessageLimits = {
  perUser: 500,
  perSender: 100,
  all: 100_000,
  bytes: 64 << 20,
  keepS: 30 * 86_400,
  answerMs: 5000,
  slowPhoneMs: 2000,
};

/** What makes sense at once or never: "is typing" (RFC 3994), and what the sender gives no time (RFC 3428 7). */
export function isFleeting({ contentType, sentAt, expiresAt }: PagerMessage): boolean {
  return expiresAt <= sentAt || /^application\/im-iscomposing\+xml\b/i.test(contentType);
}

/** What a message weighs in memory and on disk, roughly. */
export function weight({ body, headers, contentType }: PagerMessage): number {
  return 500 + body.length + contentType.length + headers.reduce((sum, [n, v]) => sum + n.length + v.length, 0);
}
