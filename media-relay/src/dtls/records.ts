/** A DTLS record's header: type, version, epoch, sequence number, length (RFC 6347 4.1). */
export const RECORD_HEADER = 13;

/**
 * Cuts a run of whole DTLS records into datagrams of at most `mtu` bytes, as many records in each as fit (RFC 6347 4.1.1).
 * A single record longer than that stays whole. The datagrams are copies.
 *
 *     │ type │ version (2) │ epoch (2) │ sequence (6) │ length (2) │ length bytes │ next record …
 */
export function packRecords(bytes: Uint8Array, mtu: number): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  let start = 0;
  let at = 0;
  while (at + RECORD_HEADER <= bytes.length) {
    const end = at + RECORD_HEADER + ((bytes[at + 11]! << 8) | bytes[at + 12]!);
    if (end > bytes.length) break;
    if (end - start > mtu && at > start) {
      datagrams.push(bytes.slice(start, at));
      start = at;
    }
    at = end;
  }
  if (at > start) datagrams.push(bytes.slice(start, at));
  return datagrams;
}
