/** A DTLS record's header: type, version, epoch, sequence number, length (RFC 6347 4.1). */
export const RECORD_HEADER = 13;
const ALERT_RECORD = 21;

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

/** The shortest encrypted record of AES-GCM: explicit nonce, tag and one byte (RFC 5288 3). */
export const SHORTEST_GCM_RECORD = 8 + 16 + 1;
/** The shortest encrypted record of ChaCha20-Poly1305: tag and one byte (RFC 7905 2). */
export const SHORTEST_CHACHA_RECORD = 16 + 1;

/**
 * Removes in place what can't be a record of this association, or what nobody can vouch for: encrypted records shorter than
 * `shortest`, alerts in plaintext, and a tail that is no whole record. Returns the bytes left. OpenSSL 3.5 ends an
 * established session at one encrypted record that is too short for its cipher, and a handshake at one plaintext alert,
 * which anybody could forge. RFC 6347 4.1.2.7 has invalid records dropped, and warns of ending anything by what UDP lets
 * everybody forge; a plaintext alert of the peer itself counts as a lost packet: its handshake just goes no further.
 */
export function screenRecords(bytes: Uint8Array, length: number, shortest: number): number {
  let kept = 0;
  let at = 0;
  while (at + RECORD_HEADER <= length) {
    const body = (bytes[at + 11]! << 8) | bytes[at + 12]!;
    const end = at + RECORD_HEADER + body;
    if (end > length) break;
    const encrypted = (bytes[at + 3]! | bytes[at + 4]!) !== 0;
    if (encrypted ? body >= shortest : bytes[at] !== ALERT_RECORD) {
      if (kept !== at) bytes.copyWithin(kept, at, end);
      kept += end - at;
    }
    at = end;
  }
  return kept;
}
