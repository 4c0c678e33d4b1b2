import koffi from 'koffi';

/**
 * OpenSSL 3 by FFI: the one inside the running Node where it exports its symbols (official builds), else the system's
 * libssl.so.3, loaded with RTLD_DEEPBIND so that its symbols do not mix with Node's. Pointers are numbers.
 */
export class OpenSslLibrary {
  readonly #crypto: ReturnType<typeof koffi.load>;
  readonly #ssl: ReturnType<typeof koffi.load>;
  readonly source: 'node' | 'system';

  constructor() {
    const own = koffi.load(null);
    if (exportsSymbol(own, 'SSL_CTX_new') && exportsSymbol(own, 'EVP_CIPHER_fetch')) {
      this.#crypto = own;
      this.#ssl = own;
      this.source = 'node';
      return;
    }
    this.#crypto = koffi.load('libcrypto.so.3', { deep: true });
    this.#ssl = koffi.load('libssl.so.3', { deep: true });
    this.source = 'system';
  }

  crypto(prototype: string): (...args: (number | string | null)[]) => number {
    return this.#crypto.func(prototype);
  }

  ssl(prototype: string): (...args: (number | string | null)[]) => number {
    return this.#ssl.func(prototype);
  }
}

function exportsSymbol(library: ReturnType<typeof koffi.load>, name: string): boolean {
  try {
    library.func(name, 'int', []);
    return true;
  } catch {
    return false;
  }
}

let loaded: OpenSslLibrary | undefined;

/** Loads it once; throws when there is none. */
export function opensslLibrary(): OpenSslLibrary {
  loaded ??= new OpenSslLibrary();
  return loaded;
}

let lastBytes: Uint8Array | undefined;
let lastAddress = 0;

/** The address of the first byte; the last buffer asked for is remembered, so one arena costs one look-up. */
export function addressOfBytes(bytes: Uint8Array): number {
  if (bytes === lastBytes) return lastAddress;
  lastAddress = Number(koffi.address(bytes));
  lastBytes = bytes;
  return lastAddress;
}

/**
 * Memory with a fixed address for arguments and results of foreign calls. Never freed while referenced, never moved.
 */
export class ForeignMemory {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly address: number;

  /** @param size bytes, rounded up to 8 and to at least 128 (small arrays may live in the moving heap). */
  constructor(size: number) {
    const buffer = new ArrayBuffer(Math.max(128, (size + 7) & ~7));
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
    this.address = Number(koffi.address(this.bytes));
  }

  /** A zero-terminated text inside. */
  text(at: number, limit: number): string {
    const end = this.bytes.indexOf(0, at);
    return Buffer.from(this.bytes.subarray(at, end < 0 ? at + limit : end)).toString('latin1');
  }
}
