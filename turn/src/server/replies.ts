import {
  type Crypto,
  type SocketAddress,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
} from '@offhook/core';
import { MAX_PACKET, type UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import { type Signature, sign } from '../auth/signature.ts';
import type { TurnStats } from './stats.ts';

/** What a reply needs of its request. */
interface Asked {
  readonly message: StunMessage;
  readonly client: UdpEndpoint;
}

/** What is told beside the mapped address where NAT behaviour can be discovered (RFC 5780 6.1). */
export interface DiscoveryAnswer {
  readonly origin: SocketAddress;
  readonly other: SocketAddress;
  /** Bytes of PADDING, as many as the request had. */
  readonly padding: number;
}

export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly passwordAlgorithms: Uint8Array | undefined;
}

const PADDING = new Uint8Array(MAX_PACKET);

/**
 * Writes the responses, as small as they can be (no reason phrases, no SOFTWARE), into one buffer: `bytes` is valid
 * until the next. Each method answers true, so that a handler can end with it.
 */
export class Replies {
  bytes: Uint8Array = new Uint8Array(0);
  readonly #writer = new StunWriter(new Uint8Array(MAX_PACKET));
  readonly #crypto: Crypto;
  readonly #stats: TurnStats;

  constructor(options: { readonly crypto: Crypto; readonly stats: TurnStats }) {
    this.#crypto = options.crypto;
    this.#stats = options.stats;
  }

  binding(request: Asked, discovery?: DiscoveryAnswer): true {
    this.#stats.bindings++;
    const mapped = request.client.toSocketAddress();
    const writer = this.#start(request, StunClass.success).xorAddress(StunAttribute.xorMappedAddress, mapped);
    if (discovery) {
      writer
        .address(StunAttribute.mappedAddress, mapped)
        .address(StunAttribute.responseOrigin, discovery.origin)
        .address(StunAttribute.otherAddress, discovery.other);
      if (discovery.padding > 0) writer.bytes(StunAttribute.padding, PADDING.subarray(0, discovery.padding));
    }
    return this.#finish(request, undefined);
  }

  /** 401 or 438: with a realm of sixteen characters 68 bytes, and 96 where SHA-256 is offered. */
  challenge(request: Asked, code: 401 | 438, challenge: Challenge): true {
    this.#stats.countError(code);
    const { realm, nonce, passwordAlgorithms } = challenge;
    const writer = this.#start(request, StunClass.error)
      .errorCode(code)
      .text(StunAttribute.realm, realm)
      .text(StunAttribute.nonce, nonce);
    if (passwordAlgorithms) writer.bytes(StunAttribute.passwordAlgorithms, passwordAlgorithms);
    return this.#finish(request, undefined);
  }

  /** @param signature undefined = the request wasn't signed, nor is this. */
  error(request: Asked, code: number, signature: Signature | undefined): true {
    this.#stats.countError(code);
    this.#start(request, StunClass.error).errorCode(code);
    return this.#finish(request, signature);
  }

  unknownAttributes(request: Asked, types: readonly number[], signature: Signature | undefined): true {
    this.#stats.countError(420);
    this.#start(request, StunClass.error).errorCode(420).unknownAttributes(types);
    return this.#finish(request, signature);
  }

  /** "300 (Try Alternate) … MUST be protected" (RFC 8489 10, 14.8). */
  tryAlternate(request: Asked, server: SocketAddress, signature: Signature): true {
    this.#stats.countError(300);
    this.#start(request, StunClass.error).errorCode(300).address(StunAttribute.alternateServer, server);
    return this.#finish(request, signature);
  }

  success(request: Asked, signature: Signature): true {
    this.#start(request, StunClass.success);
    return this.#finish(request, signature);
  }

  refreshed(request: Asked, lifetimeS: number, signature: Signature): true {
    this.#start(request, StunClass.success).u32(StunAttribute.lifetime, lifetimeS);
    return this.#finish(request, signature);
  }

  repeat(reply: Uint8Array): true {
    this.bytes = reply;
    return true;
  }

  /** The answer to the Allocate that made this allocation; a copy, kept for retransmissions (RFC 8656 7.2). */
  allocated(
    allocation: Allocation,
    granted: {
      readonly lifetimeS: number;
      readonly token: Uint8Array | undefined;
      /** The family that could not be had of two, and why. */
      readonly refused: { readonly family: 4 | 6; readonly code: number } | undefined;
    },
  ): Uint8Array {
    const { owner, relays } = allocation;
    const writer = this.#writer.start(StunClass.success, StunMethod.allocate, allocation.allocateId);
    for (const { relayed } of relays) writer.xorAddress(StunAttribute.xorRelayedAddress, relayed!.toSocketAddress());
    writer
      .u32(StunAttribute.lifetime, granted.lifetimeS)
      .xorAddress(StunAttribute.xorMappedAddress, owner.client.toSocketAddress());
    if (granted.token) writer.bytes(StunAttribute.reservationToken, granted.token);
    if (granted.refused) writer.addressErrorCode(granted.refused.family, granted.refused.code);
    return this.#finishLater(allocation);
  }

  /** The answer to an Allocate whose socket couldn't be opened. */
  notAllocated(allocation: Allocation): Uint8Array {
    this.#stats.countError(508);
    this.#writer.start(StunClass.error, StunMethod.allocate, allocation.allocateId).errorCode(508);
    return this.#finishLater(allocation);
  }

  /** A Data indication that tells of an ICMP message (RFC 8656 11.5): no DATA in it. */
  icmp(
    peer: SocketAddress,
    { type, code, data }: { readonly type: number; readonly code: number; readonly data: number },
  ): Uint8Array {
    return this.#writer
      .start(StunClass.indication, StunMethod.data, this.#crypto.randomBytes(12))
      .xorAddress(StunAttribute.xorPeerAddress, peer)
      .icmp(type, code, data)
      .message()
      .slice();
  }

  #start(request: Asked, cls: 2 | 3): StunWriter {
    return this.#writer.start(cls, request.message.method, request.message.transactionId);
  }

  #finishLater({ owner, hasFingerprint }: Allocation): Uint8Array {
    sign(this.#writer, owner.signature, this.#crypto);
    if (hasFingerprint) this.#writer.fingerprint();
    return this.#writer.message().slice();
  }

  #finish(request: Asked, signature: Signature | undefined): true {
    if (signature) sign(this.#writer, signature, this.#crypto);
    if (request.message.has(StunAttribute.fingerprint)) this.#writer.fingerprint();
    this.bytes = this.#writer.message();
    return true;
  }
}
