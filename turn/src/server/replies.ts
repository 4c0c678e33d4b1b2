import { type Crypto, StunAttribute, StunClass, type StunMessage, StunMethod, StunWriter } from '@offhook/core';
import type { UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import type { TurnStats } from './stats.ts';

/** What a reply needs of its request. */
interface Asked {
  readonly message: StunMessage;
  readonly client: UdpEndpoint;
}

/**
 * Writes the responses, as small as they can be (no reason phrases, no SOFTWARE), into one buffer: `bytes` is valid
 * until the next. Each method answers true, so that a handler can end with it.
 */
export class Replies {
  bytes: Uint8Array = new Uint8Array(0);
  readonly #writer = new StunWriter(new Uint8Array(1024));
  readonly #realm: string;
  readonly #crypto: Crypto;
  readonly #stats: TurnStats;

  constructor(options: { readonly realm: string; readonly crypto: Crypto; readonly stats: TurnStats }) {
    this.#realm = options.realm;
    this.#crypto = options.crypto;
    this.#stats = options.stats;
  }

  binding(request: Asked): true {
    this.#stats.bindings++;
    this.#start(request, StunClass.success).xorAddress(
      StunAttribute.xorMappedAddress,
      request.client.toSocketAddress(),
    );
    return this.#finish(request, undefined);
  }

  /** 401 or 438 with realm and nonce, 68 bytes with a realm of sixteen characters. */
  challenge(request: Asked, code: 401 | 438, nonce: string): true {
    this.#stats.countError(code);
    this.#start(request, StunClass.error)
      .errorCode(code)
      .text(StunAttribute.realm, this.#realm)
      .text(StunAttribute.nonce, nonce);
    return this.#finish(request, undefined);
  }

  /** @param key undefined = the request wasn't signed, nor is this. */
  error(request: Asked, code: number, key: Uint8Array | undefined): true {
    this.#stats.countError(code);
    this.#start(request, StunClass.error).errorCode(code);
    return this.#finish(request, key);
  }

  unknownAttributes(request: Asked, types: readonly number[], key: Uint8Array | undefined): true {
    this.#stats.countError(420);
    this.#start(request, StunClass.error).errorCode(420).unknownAttributes(types);
    return this.#finish(request, key);
  }

  success(request: Asked, key: Uint8Array): true {
    this.#start(request, StunClass.success);
    return this.#finish(request, key);
  }

  refreshed(request: Asked, lifetimeS: number, key: Uint8Array): true {
    this.#start(request, StunClass.success).u32(StunAttribute.lifetime, lifetimeS);
    return this.#finish(request, key);
  }

  repeat(reply: Uint8Array): true {
    this.bytes = reply;
    return true;
  }

  /** The answer to the Allocate that made this allocation; a copy, kept for retransmissions (RFC 8656 7.2). */
  allocated(allocation: Allocation, lifetimeS: number, reservation: Uint8Array | undefined): Uint8Array {
    const writer = this.#writer
      .start(StunClass.success, StunMethod.allocate, allocation.allocateId)
      .xorAddress(StunAttribute.xorRelayedAddress, allocation.relayed!.toSocketAddress())
      .u32(StunAttribute.lifetime, lifetimeS)
      .xorAddress(StunAttribute.xorMappedAddress, allocation.owner.client.toSocketAddress());
    if (reservation) writer.bytes(StunAttribute.reservationToken, reservation);
    return writer.integrity(allocation.owner.key, this.#crypto).message().slice();
  }

  /** The answer to an Allocate whose socket couldn't be opened. */
  notAllocated(allocation: Allocation): Uint8Array {
    this.#stats.countError(508);
    return this.#writer
      .start(StunClass.error, StunMethod.allocate, allocation.allocateId)
      .errorCode(508)
      .integrity(allocation.owner.key, this.#crypto)
      .message()
      .slice();
  }

  #start(request: Asked, cls: 2 | 3): StunWriter {
    return this.#writer.start(cls, request.message.method, request.message.transactionId);
  }

  #finish(request: Asked, key: Uint8Array | undefined): true {
    if (key) this.#writer.integrity(key, this.#crypto);
    if (request.message.has(StunAttribute.fingerprint)) this.#writer.fingerprint();
    this.bytes = this.#writer.message();
    return true;
  }
}
