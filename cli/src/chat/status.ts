/** What `/status` can say, and the RPID activity that says it (RFC 4480 3.2). */
export const STATUSES = ['available', 'busy', 'away'] as const;
export type Status = (typeof STATUSES)[number];
