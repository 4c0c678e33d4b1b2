import type { UdpEndpoint } from '@offhook/core/node';
import type { Transport } from '../forward/index.ts';
import type { MuxPort } from './mux.ts';

export interface IceCredentials {
  readonly ufrag: string;
  readonly pwd: string;
}

/** Both sides of one ICE generation. */
export interface IceGeneration {
  readonly local: IceCredentials;
  /** `local.pwd` as the key of MESSAGE-INTEGRITY. */
  readonly key: Uint8Array;
  /** Unknown until the peer's SDP came. */
  remote: IceCredentials | undefined;
}

/** A validated pair: one of our ports and a source that passed a check. */
export interface IcePair {
  readonly mux: MuxPort;
  readonly remote: UdpEndpoint;
  /** The peer's ufrag as its last check named it. */
  remoteUfrag: string;
  lastCheckMs: number;
}

export type IceState = 'waiting' | 'connected' | 'nominated' | 'lost';

/** ICE of one transport as the lite side (RFC 8445 2.5): it never sends checks. */
export class IceSession {
  readonly transport: Transport;
  current: IceGeneration;
  /** The generation before a restart; its checks and pairs count until the new one is nominated. */
  previous: IceGeneration | undefined;
  state: IceState = 'waiting';
  /** `state` in a person's words. */
  reason = 'no connectivity check of the peer has arrived yet';
  readonly pairs: IcePair[] = [];
  selected: IcePair | undefined;
  checks = 0;
  /** Whether the nominated pair belongs to the current generation. */
  currentNominated = false;

  constructor(transport: Transport, first: IceGeneration) {
    this.transport = transport;
    this.current = first;
  }
}
