import type { Crypto, SocketAddress } from '@offhook/core';
import type { RateCounters } from '../congestion/index.ts';
import type { Transport } from '../forward/index.ts';
import type { IceLite, MuxPort } from '../ice/index.ts';
import type { DtlsCounters, DtlsFactory } from './dtls.ts';
import type { RtpInterface } from './interfaces.ts';
import type { PortPair } from './leg.ts';
import type { OpenSrtp } from './sdes.ts';
import type { TransportTable } from './table.ts';

export interface AddressCounters {
  /** Descriptions that named a port of this relay as their own. */
  loops: number;
  /** Descriptions that named an address of no single host. */
  notUnicast: number;
}

/** What calls stand on; handed in by the worker. */
export interface MediaHost {
  readonly crypto: Crypto;
  readonly ice: IceLite;
  readonly muxes: readonly MuxPort[];
  /** Where plain RTP ports can be, the default one first. */
  readonly interfaces: readonly RtpInterface[];
  /** Whether an IP address is one of this machine's. */
  readonly isOwn: (address: string) => boolean;
  /** Whether this relay itself listens there: what is sent there comes round again. */
  readonly isRelayPort: (at: SocketAddress) => boolean;
  readonly addressCounters: AddressCounters;
  readonly rateCounters: RateCounters;
  readonly transports: TransportTable;
  readonly openSrtp: OpenSrtp;
  readonly dtlsCounters: DtlsCounters;
  /** Undefined when DTLS is off; `dtlsProblem` then says why. */
  readonly dtls: DtlsFactory | undefined;
  readonly dtlsProblem: string | undefined;
  /** From now on packets of the pair belong to the transport. */
  attach(transport: Transport, pair: PortPair): void;
  /** True when what is sent there reaches this machine: the port is not opened here until it is disclaimed as often. */
  claim(at: SocketAddress): boolean;
  disclaim(port: number): void;
  /** Closes the pair; its numbers go back to the pool. */
  release(pair: PortPair): void;
  /** The transport's DTLS deadline may have moved. */
  rearm(transport: Transport): void;
}
