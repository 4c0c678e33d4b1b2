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
  readonly sha1Final: ForeignFunction;
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
    sha1Final: lib.crypto('int SHA1_Final(uintptr_t, uintptr_t)'),
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
  live++;
  const isKeyed = f.init(context, cipher, 0, address + KEY_AT, address, encrypt) === 1;
  bytes.fill(0, KEY_AT, KEY_AT + 16);
  if (!isKeyed) throw new Error('AES-128 is not available');
  return context;
}

/** AES-128 in counter mode with one key: the context is kept, only the IV changes per packet. */
export class AesCtr {
  readonly #f = cipherFunctions();
  readonly #memory = sharedMemory();
  #context: number;

  constructor(key: Uint8Array) {
    this.#context = keyed(this.#f, this.#f.ctr, key, 1);
  }

  /** The 16 bytes to write right before each `xor`; every cipher of the thread has the same. */
  get iv(): DataView {
    return this.#memory.view;
  }

  /** XORs the key stream of the IV in place. */
  xor(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#context === 0) return false;
    if (length === 0) return true;
    const { address } = this.#memory;
    const data = addressOfBytes(bytes) + offset;
    return (
      this.#f.init(this.#context, 0, 0, 0, address, 1) === 1 &&
      this.#f.update(this.#context, data, address + OUT_AT, data, length) === 1
    );
  }

  close(): void {
    if (this.#context === 0) return;
    this.#f.freeContext(this.#context);
    this.#context = 0;
    live--;
  }
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
 * SHA_CTX: five words of state, the length in bits (low, high), a block of data, and how many bytes of that are used.
 * After a whole block only the state differs from key to key.
 */
const STATE_WORDS = 5;
const LENGTH_WORD = 5;
const USED_WORD = 23;
const BLOCK = 64;
const DIGEST = 20;
const SHA_WORD = SHA_AT / 4;

/** HMAC-SHA1 with one key: the states after the inner and outer key blocks are kept (RFC 2104 4). */
export class HmacSha1 {
  readonly #f = cipherFunctions();
  readonly #memory = sharedMemory();
  /** Both states: short enough to lie in the array object itself. */
  readonly #states = new Uint32Array(2 * STATE_WORDS);

  /** @param key at most 64 bytes. */
  constructor(key: Uint8Array) {
    this.#keyState(key, 0x36, 0);
    this.#keyState(key, 0x5c, STATE_WORDS);
  }

  #keyState(key: Uint8Array, pad: number, at: number): void {
    const { bytes, words, address } = this.#memory;
    bytes.fill(pad, PAD_AT, PAD_AT + BLOCK);
    for (let i = 0; i < key.length; i++) bytes[PAD_AT + i] = key[i]! ^ pad;
    this.#f.sha1Init(address + SHA_AT);
    this.#f.sha1Update(address + SHA_AT, address + PAD_AT, BLOCK);
    for (let i = 0; i < STATE_WORDS; i++) this.#states[at + i] = words[SHA_WORD + i]!;
    bytes.fill(0, PAD_AT, PAD_AT + BLOCK);
  }

  /** The digest of `bytes[offset … offset+length)`: 20 bytes from `DIGEST_AT` of the answer, valid until the next digest of any HmacSha1. */
  digest(bytes: Uint8Array, offset: number, length: number): Uint8Array {
    const { address } = this.#memory;
    const at = address + SHA_AT;
    const out = address + DIGEST_AT;
    this.#start(0);
    this.#f.sha1Update(at, addressOfBytes(bytes) + offset, length);
    this.#f.sha1Final(out, at);
    this.#start(STATE_WORDS);
    this.#f.sha1Update(at, out, DIGEST);
    this.#f.sha1Final(out, at);
    return this.#memory.bytes;
  }

  /** A hash that has taken a key block. */
  #start(from: number): void {
    const { words } = this.#memory;
    const states = this.#states;
    for (let i = 0; i < STATE_WORDS; i++) words[SHA_WORD + i] = states[from + i]!;
    words[SHA_WORD + LENGTH_WORD] = 8 * BLOCK;
    words[SHA_WORD + LENGTH_WORD + 1] = 0;
    words[SHA_WORD + USED_WORD] = 0;
  }

  /** Forgets the key. */
  close(): void {
    this.#states.fill(0);
  }
}
