import type { PacketBatch, UdpEndpoint, UdpPort } from '@offhook/core/node';

/** Datagrams sent to a source that has proven nothing yet, for each one that came from there. */
export const SENT_PER_RECEIVED = 2;
/** A handshake whose source is silent for this long gives way to the hello of another. */
export const SILENT_MS = 1000;

const HANDSHAKE_RECORD = 22;
/** ClientHello, ServerHello, HelloVerifyRequest (RFC 6347 4.3.2). */
const HELLOS: ReadonlySet<number> = new Set([1, 2, 3]);

/**
 * With whom DTLS without ICE is spoken. No check has proven that somebody is there, so anyone who can forge an allowed
 * address may say hello in its name: the answers go to that source alone, at most two for each datagram from there, and
 * media isn't sent there before the handshake is complete.
 */
export class HandshakeSource {
  #at: UdpEndpoint | undefined;
  #port: UdpPort | undefined;
  #credit = 0;
  #lastMs = 0;
  #isExpected = false;

  /** Its source is the very address and port of the SDP. */
  get isExpected(): boolean {
    return this.#isExpected;
  }

  /** Where the handshake's datagrams come from and go to. */
  get at(): UdpEndpoint | undefined {
    return this.#at;
  }

  get port(): UdpPort | undefined {
    return this.#port;
  }

  has(batch: PacketBatch, i: number): boolean {
    return this.#at?.isSource(batch, i) === true;
  }

  /** Whether another source's datagram may take over a handshake that isn't complete. */
  givesWay(bytes: Uint8Array, isExpected: boolean, nowMs: number): boolean {
    if (bytes.length < 14 || bytes[0] !== HANDSHAKE_RECORD || !HELLOS.has(bytes[13]!)) return false;
    return this.#at === undefined || (isExpected && !this.#isExpected) || nowMs - this.#lastMs >= SILENT_MS;
  }

  /** @param isExpected the source is the very address and port of the SDP. */
  take(port: UdpPort, at: UdpEndpoint, isExpected: boolean): void {
    this.#port = port;
    this.#at = at;
    this.#isExpected = isExpected;
    this.#credit = 0;
  }

  received(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#credit += SENT_PER_RECEIVED;
  }

  /** The handshake is complete and its certificate that of the SDP. */
  prove(): void {
    this.#credit = Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.#at = undefined;
    this.#port = undefined;
    this.#credit = 0;
  }

  /** False when nothing may be sent now; OpenSSL's timer will try again. */
  send(bytes: Uint8Array): boolean {
    if (this.#port === undefined || this.#at === undefined || this.#credit <= 0) return false;
    this.#credit--;
    return this.#port.send(bytes, this.#at);
  }
}
