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

/** AES-128 in counter mode with one key: the context is kept, only the IV changes per packet. */
export class AesCtr {
  readonly #f = cipherFunctions();
  readonly #memory = new ForeignMemory(128);
  #context: number;

  constructor(key: Uint8Array) {
    this.#memory.bytes.set(key.subarray(0, 16), 32);
    this.#context = this.#f.newContext();
    live++;
    const at = this.#memory.address;
    if (this.#f.init(this.#context, this.#f.ctr, 0, at + 32, at, 1) !== 1)
      throw new Error('AES-128-CTR is not available');
    this.#memory.bytes.fill(0, 32, 48);
  }

  /** The 16 bytes to write before each `xor`. */
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
      this.#f.update(this.#context, data, address + 16, data, length) === 1
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
  readonly #memory = new ForeignMemory(128);
  readonly #encrypt: 0 | 1;
  #context: number;

  constructor(key: Uint8Array, direction: 'encrypt' | 'decrypt') {
    this.#encrypt = direction === 'encrypt' ? 1 : 0;
    this.#memory.bytes.set(key.subarray(0, 16), 32);
    this.#context = this.#f.newContext();
    live++;
    const at = this.#memory.address;
    if (this.#f.init(this.#context, this.#f.gcm, 0, at + 32, at, this.#encrypt) !== 1)
      throw new Error('AES-128-GCM is not available');
    this.#memory.bytes.fill(0, 32, 48);
  }

  /** The 12 bytes to write before each call. */
  get iv(): DataView {
    return this.#memory.view;
  }

  /** Associated data that does not lie in the packet: up to 64 bytes at 64. */
  get extraData(): Uint8Array {
    return this.#memory.bytes;
  }

  /**
   * Encrypts `bytes[offset+aadLength … offset+length)` in place and writes the tag behind; the first `aadLength` bytes
   * and then `extra` bytes at `extraData[64]` are authenticated only.
   */
  seal(bytes: Uint8Array, offset: number, aadLength: number, length: number, extra = 0): boolean {
    if (this.#context === 0) return false;
    const { address } = this.#memory;
    const data = addressOfBytes(bytes) + offset;
    const out = address + 16;
    const context = this.#context;
    return (
      this.#f.init(context, 0, 0, 0, address, 1) === 1 &&
      this.#f.update(context, 0, out, data, aadLength) === 1 &&
      (extra === 0 || this.#f.update(context, 0, out, address + 64, extra) === 1) &&
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
    const out = address + 16;
    const context = this.#context;
    return (
      this.#f.init(context, 0, 0, 0, address, 0) === 1 &&
      this.#f.control(context, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, data + length) === 1 &&
      this.#f.update(context, 0, out, data, aadLength) === 1 &&
      (extra === 0 || this.#f.update(context, 0, out, address + 64, extra) === 1) &&
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

const SHA_CTX_WORDS = 24;
const BLOCK = 64;

/** One memory for all HMACs of the thread: SHA_CTX at 0, digest at 128. */
let hmacMemory: ForeignMemory | undefined;

/** HMAC-SHA1 with one key: the states after the inner and outer key blocks are kept (RFC 2104 4). */
export class HmacSha1 {
  readonly #f = cipherFunctions();
  readonly #inner = new Uint32Array(SHA_CTX_WORDS);
  readonly #outer = new Uint32Array(SHA_CTX_WORDS);
  readonly #memory: ForeignMemory;

  /** @param key at most 64 bytes. */
  constructor(key: Uint8Array) {
    hmacMemory ??= new ForeignMemory(256);
    this.#memory = hmacMemory;
    this.#keyState(key, 0x36, this.#inner);
    this.#keyState(key, 0x5c, this.#outer);
  }

  #keyState(key: Uint8Array, pad: number, state: Uint32Array): void {
    const { bytes, words, address } = this.#memory;
    bytes.fill(pad, 160, 160 + BLOCK);
    for (let i = 0; i < key.length; i++) bytes[160 + i] = key[i]! ^ pad;
    this.#f.sha1Init(address);
    this.#f.sha1Update(address, address + 160, BLOCK);
    for (let i = 0; i < SHA_CTX_WORDS; i++) state[i] = words[i]!;
    bytes.fill(0, 160, 160 + BLOCK);
  }

  /** The digest of `bytes[offset … offset+length)`, 20 bytes from 128 of the answer; valid until the next digest of any HmacSha1. */
  digest(bytes: Uint8Array, offset: number, length: number): Uint8Array {
    const { words, address } = this.#memory;
    for (let i = 0; i < SHA_CTX_WORDS; i++) words[i] = this.#inner[i]!;
    this.#f.sha1Update(address, addressOfBytes(bytes) + offset, length);
    this.#f.sha1Final(address + 128, address);
    for (let i = 0; i < SHA_CTX_WORDS; i++) words[i] = this.#outer[i]!;
    this.#f.sha1Update(address, address + 128, 20);
    this.#f.sha1Final(address + 128, address);
    return this.#memory.bytes;
  }

  /** Forgets the key. */
  close(): void {
    this.#inner.fill(0);
    this.#outer.fill(0);
  }
}
