import { addressOfBytes, ForeignMemory, type OpenSslLibrary, opensslLibrary } from './library.ts';

interface CipherFunctions {
  readonly fetch: ForeignFunction;
  readonly newContext: ForeignFunction;
  readonly freeContext: ForeignFunction;
  readonly init: ForeignFunction;
  readonly update: ForeignFunction;
  readonly final: ForeignFunction;
  readonly control: ForeignFunction;
  readonly sha1Init: ForeignFunction;
  readonly sha1Update: ForeignFunction;
  /** EVP_CIPHER handles, fetched once: an unfetched one is looked up at every initialisation. */
  readonly ctr: number;
  readonly gcm: number;
}

type ForeignFunction = ReturnType<OpenSslLibrary['crypto']>;

let functions: CipherFunctions | undefined;

function cipherFunctions(): CipherFunctions {
  if (functions) return functions;
  const lib = opensslLibrary();
  const fetch = lib.crypto('uintptr_t EVP_CIPHER_fetch(uintptr_t, const char *, uintptr_t)');
  functions = {
    fetch,
    newContext: lib.crypto('uintptr_t EVP_CIPHER_CTX_new()'),
    freeContext: lib.crypto('void EVP_CIPHER_CTX_free(uintptr_t)'),
    init: lib.crypto('int EVP_CipherInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)'),
    update: lib.crypto('int EVP_CipherUpdate(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)'),
    final: lib.crypto('int EVP_CipherFinal_ex(uintptr_t, uintptr_t, uintptr_t)'),
    control: lib.crypto('int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, uintptr_t)'),
    sha1Init: lib.crypto('int SHA1_Init(uintptr_t)'),
    sha1Update: lib.crypto('int SHA1_Update(uintptr_t, uintptr_t, size_t)'),
    ctr: fetch(0, 'AES-128-CTR', 0),
    gcm: fetch(0, 'AES-128-GCM', 0),
  };
  return functions;
}

const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;
const GCM_TAG = 16;

let live = 0;

/** EVP contexts not yet closed, for leak checks. */
export function liveCipherContexts(): number {
  return live;
}

/** Extra data that is authenticated, and the digest, in the memory that the answers' views show. */
export const EXTRA_AT = 64;
export const DIGEST_AT = 128;

/*
 * What all ciphers of the thread hand to OpenSSL: a packet is worked on alone, and memory that every packet uses stays in
 * the processor's cache.
 *
 *     0     16        32      64           128      160
 *     │ IV  │ length  │ key   │ extra data │ digest │ SHA_CTX, key block …
 */
const OUT_AT = 16;
const KEY_AT = 32;
const SHA_AT = 160;
const PAD_AT = 256;
let memory: ForeignMemory | undefined;

function sharedMemory(): ForeignMemory {
  memory ??= new ForeignMemory(320);
  return memory;
}

/** A context that keeps this key. */
function keyed(f: CipherFunctions, cipher: number, key: Uint8Array, encrypt: 0 | 1): number {
  const { bytes, address } = sharedMemory();
  bytes.set(key.subarray(0, 16), KEY_AT);
  const context = f.newContext();
  const isKeyed = f.init(context, cipher, 0, address + KEY_AT, address, encrypt) === 1;
  bytes.fill(0, KEY_AT, KEY_AT + 16);
  if (!isKeyed) {
    f.freeContext(context);
    throw new Error('AES-128 is not available');
  }
  live++;
  return context;
}

/** AES-128-GCM with one key and one direction, 16-byte tag behind the text. */
export class AesGcm {
  readonly #f = cipherFunctions();
  readonly #memory = sharedMemory();
  #context: number;

  constructor(key: Uint8Array, direction: 'encrypt' | 'decrypt') {
    this.#context = keyed(this.#f, this.#f.gcm, key, direction === 'encrypt' ? 1 : 0);
  }

  /** The 12 bytes to write right before each call; every cipher of the thread has the same. */
  get iv(): DataView {
    return this.#memory.view;
  }

  /** Associated data that does not lie in the packet: up to 64 bytes at `EXTRA_AT`. */
  get extraData(): Uint8Array {
    return this.#memory.bytes;
  }

  /**
   * Encrypts `bytes[offset+aadLength … offset+length)` in place and writes the tag behind; the first `aadLength` bytes
   * and then `extra` bytes at `extraData[EXTRA_AT]` are authenticated only.
   */
  seal(bytes: Uint8Array, offset: number, aadLength: number, length: number, extra = 0): boolean {
    if (this.#context === 0) return false;
    const { address } = this.#memory;
    const data = addressOfBytes(bytes) + offset;
    const out = address + OUT_AT;
    const context = this.#context;
    return (
      this.#f.init(context, 0, 0, 0, address, 1) === 1 &&
      this.#f.update(context, 0, out, data, aadLength) === 1 &&
      (extra === 0 || this.#f.update(context, 0, out, address + EXTRA_AT, extra) === 1) &&
      (length === aadLength ||
        this.#f.update(context, data + aadLength, out, data + aadLength, length - aadLength) === 1) &&
      this.#f.final(context, data + length, out) === 1 &&
      this.#f.control(context, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, data + length) === 1
    );
  }

  /** The reverse: `length` is without the tag, which lies at `bytes[offset+length]`. False when the tag is wrong. */
  open(bytes: Uint8Array, offset: number, aadLength: number, length: number, extra = 0): boolean {
    if (this.#context === 0) return false;
    const { address } = this.#memory;
    const data = addressOfBytes(bytes) + offset;
    const out = address + OUT_AT;
    const context = this.#context;
    return (
      this.#f.init(context, 0, 0, 0, address, 0) === 1 &&
      this.#f.control(context, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, data + length) === 1 &&
      this.#f.update(context, 0, out, data, aadLength) === 1 &&
      (extra === 0 || this.#f.update(context, 0, out, address + EXTRA_AT, extra) === 1) &&
      (length === aadLength ||
        this.#f.update(context, data + aadLength, out, data + aadLength, length - aadLength) === 1) &&
      this.#f.final(context, data + length, out) === 1
    );
  }

  close(): void {
    if (this.#context === 0) return;
    this.#f.freeContext(this.#context);
    this.#context = 0;
    live--;
  }
}

/*
 * SHA_CTX: five words of state, the length in bits (low, high), a block of data, and how many bytes of that are used. Only whole
 * blocks are handed over, with the padding of the message behind it (FIPS 180-4 5.1.1): the length isn't looked at then, none
 * of the block is used, and what is left in the state is the digest.
 */
const USED_WORD = 23;
const BLOCK = 64;
const DIGEST_BITS = 8 * 20;
const SHA_WORD = SHA_AT / 4;
/** Padding of a message: a byte, and the length in eight. */
const LEAST_PADDING = 9;
/** The most bytes behind a message that its padding is written to. */
export const PADDING_ROOM = BLOCK + LEAST_PADDING - 1;
/** Behind the inner digest. */
const OUTER_PADDING = 0x80 << 24;
const NO_STATE = new Int32Array(5);
/** Shorter arrays may lie in V8's heap, where they have no address that stays. */
const LEAST_COPY = 128;

/**
 * AES-128 in counter mode and HMAC-SHA1 (RFC 2104) with a key each. Both are in one object, the states after the inner and outer
 * key blocks as fields of it: where every packet has another key, each object is a miss of the cache.
 */
export class AesCtrHmacSha1 {
  readonly #f = cipherFunctions();
  readonly #memory = sharedMemory();
  #context: number;
  // Signed: V8 keeps such numbers in the object itself.
  #inner0 = 0;
  #inner1 = 0;
  #inner2 = 0;
  #inner3 = 0;
  #inner4 = 0;
  #outer0 = 0;
  #outer1 = 0;
  #outer2 = 0;
  #outer3 = 0;
  #outer4 = 0;

  /** @param authKey at most 64 bytes */
  constructor(key: Uint8Array, authKey: Uint8Array) {
    this.#context = keyed(this.#f, this.#f.ctr, key, 1);
    this.#setInner(this.#keyState(authKey, 0x36));
    this.#setOuter(this.#keyState(authKey, 0x5c));
  }

  /** The 16 bytes to write right before each `xor`; every cipher of the thread has the same. */
  protected get iv(): DataView {
    return this.#memory.view;
  }

  /** XORs the key stream of the IV in place. */
  protected xor(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#context === 0) return false;
    if (length === 0) return true;
    const { address } = this.#memory;
    const data = addressOfBytes(bytes) + offset;
    return (
      this.#f.init(this.#context, 0, 0, 0, address, 1) === 1 &&
      this.#f.update(this.#context, data, address + OUT_AT, data, length) === 1
    );
  }

  /**
   * The HMAC of `bytes[offset … offset+length)`: 20 bytes from `DIGEST_AT` of the answer, valid until the next one of any of
   * these. The padding is written behind the message where there is room, up to `PADDING_ROOM` bytes.
   */
  protected authenticate(bytes: Uint8Array, offset: number, length: number): Uint8Array {
    const { words, view, address } = this.#memory;
    const padded = (length + LEAST_PADDING + BLOCK - 1) & -BLOCK;
    if (offset + padded > bytes.length) return this.#authenticateCopy(bytes, offset, length, padded);
    bytes[offset + length] = 0x80;
    for (let i = length + 1; i < padded - 4; i++) bytes[offset + i] = 0;
    const bits = 8 * (BLOCK + length);
    const end = offset + padded;
    bytes[end - 4] = bits >>> 24;
    bytes[end - 3] = bits >>> 16;
    bytes[end - 2] = bits >>> 8;
    bytes[end - 1] = bits;
    words[SHA_WORD] = this.#inner0;
    words[SHA_WORD + 1] = this.#inner1;
    words[SHA_WORD + 2] = this.#inner2;
    words[SHA_WORD + 3] = this.#inner3;
    words[SHA_WORD + 4] = this.#inner4;
    words[SHA_WORD + USED_WORD] = 0;
    this.#f.sha1Update(address + SHA_AT, addressOfBytes(bytes) + offset, padded);
    // the inner digest, in front of a padding that stays the same
    for (let i = 0; i < 5; i++) view.setInt32(PAD_AT + 4 * i, words[SHA_WORD + i]!);
    view.setInt32(PAD_AT + 20, OUTER_PADDING);
    view.setInt32(PAD_AT + BLOCK - 4, 8 * BLOCK + DIGEST_BITS);
    words[SHA_WORD] = this.#outer0;
    words[SHA_WORD + 1] = this.#outer1;
    words[SHA_WORD + 2] = this.#outer2;
    words[SHA_WORD + 3] = this.#outer3;
    words[SHA_WORD + 4] = this.#outer4;
    this.#f.sha1Update(address + SHA_AT, address + PAD_AT, BLOCK);
    for (let i = 0; i < 5; i++) view.setInt32(DIGEST_AT + 4 * i, words[SHA_WORD + i]!);
    return this.#memory.bytes;
  }

  /** Forgets the keys. */
  close(): void {
    if (this.#context === 0) return;
    this.#f.freeContext(this.#context);
    this.#context = 0;
    this.#setInner(NO_STATE);
    this.#setOuter(NO_STATE);
    live--;
  }

  #authenticateCopy(bytes: Uint8Array, offset: number, length: number, padded: number): Uint8Array {
    const copy = new Uint8Array(Math.max(LEAST_COPY, padded));
    copy.set(bytes.subarray(offset, offset + length));
    return this.authenticate(copy, 0, length);
  }

  #setInner(state: Int32Array): void {
    this.#inner0 = state[0]!;
    this.#inner1 = state[1]!;
    this.#inner2 = state[2]!;
    this.#inner3 = state[3]!;
    this.#inner4 = state[4]!;
  }

  #setOuter(state: Int32Array): void {
    this.#outer0 = state[0]!;
    this.#outer1 = state[1]!;
    this.#outer2 = state[2]!;
    this.#outer3 = state[3]!;
    this.#outer4 = state[4]!;
  }

  /** The state after one block of the key. */
  #keyState(key: Uint8Array, pad: number): Int32Array {
    const { bytes, words, address } = this.#memory;
    bytes.fill(pad, PAD_AT, PAD_AT + BLOCK);
    for (let i = 0; i < key.length; i++) bytes[PAD_AT + i] = key[i]! ^ pad;
    this.#f.sha1Init(address + SHA_AT);
    this.#f.sha1Update(address + SHA_AT, address + PAD_AT, BLOCK);
    bytes.fill(0, PAD_AT, PAD_AT + BLOCK);
    return Int32Array.from(words.subarray(SHA_WORD, SHA_WORD + 5));
  }
}
