import assert from 'node:assert/strict';
import type { SocketAddress } from '@offhook/core';
import type { DtlsCertificate } from './dtls/index.ts';
import { liveDtlsEndpoints, makeCertificate } from './dtls/index.ts';
import { NgClient } from './test-kit.ts';
import { type MediaPart, type MediaRelaySettings, startMediaRelay } from './worker.ts';

/** On loopback, every port any free one. */
export const ANY_PORTS: MediaRelaySettings = {
  ng: { address: '127.0.0.1', port: 0 },
  mux: { addresses: ['127.0.0.1'], port: 0 },
  rtp: { address: '127.0.0.1', portMin: 0, portMax: 0 },
  mediaTimeoutS: 60,
};

/** How signalling asks for a description that a browser gets, and for one that a phone with plain RTP gets. */
export const WEBRTC = {
  'transport-protocol': 'UDP/TLS/RTP/SAVPF',
  ICE: 'force',
  'rtcp-mux': ['offer'],
  replace: ['origin'],
};
export const PLAIN = { 'transport-protocol': 'RTP/AVP', ICE: 'remove', 'rtcp-mux': ['demux'], replace: ['origin'] };

/** A relay of a test with a client of its control protocol and a certificate for the test's browsers. */
export class TestRelay {
  readonly part: MediaPart;
  readonly ng: NgClient;
  #certificate: DtlsCertificate | undefined;

  private constructor(part: MediaPart, ng: NgClient) {
    this.part = part;
    this.ng = ng;
  }

  static async start(change: Partial<MediaRelaySettings> = {}, log?: (line: string) => void): Promise<TestRelay> {
    const part = await startMediaRelay({ ...ANY_PORTS, ...change }, log);
    return new TestRelay(part, await NgClient.open(part.ports.ng!));
  }

  get ports(): MediaPart['ports'] {
    return this.part.ports;
  }

  /** Where its control protocol is spoken over UDP. */
  get ngAt(): SocketAddress {
    return { address: '127.0.0.1', port: this.ports.ng! };
  }

  /** Made when the first browser needs it. */
  get certificate(): DtlsCertificate {
    this.#certificate ??= makeCertificate();
    return this.#certificate;
  }

  metrics(): Record<string, number> {
    return this.part.metrics();
  }

  dropped(reason: string): number {
    return this.metrics()[`offhook_media_packets_dropped_total{reason="${reason}"}`]!;
  }

  /** After its calls nothing is left: no call, transport, port or OpenSSL object. */
  assertNothingLeft(): void {
    const m = this.metrics();
    assert.deepEqual(
      [m.offhook_media_calls, m.offhook_media_transports, m.offhook_media_rtp_port_pairs, liveDtlsEndpoints()],
      [0, 0, 0, 0],
    );
  }

  /** Ends a call, which must be the only one. */
  async hangUp(callId: string): Promise<void> {
    assert.equal((await this.ng.call({ command: 'delete', 'call-id': callId })).result, 'ok');
    this.assertNothingLeft();
  }

  async stop(): Promise<void> {
    this.ng[Symbol.dispose]();
    await this.part.stop();
    this.#certificate?.close();
  }
}
