import type { Socket } from 'node:net';

/** Above this many bytes not yet taken by a slow client, further packets are dropped, as a full link would. */
const MAX_WAITING = 256 * 1024;
/** What is gathered into one write; any message fits several times. */
const GATHERED_BYTES = 16 * 1024;
/** Buffers that are kept for later. */
const KEPT = 64;

/** Buffers that writes are gathered in, used again once their bytes are with the system. */
export class WritePool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(GATHERED_BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
  }
}

/** Gathers what is sent over a connection within a turn of the loop into one write. */
export class StreamWriter {
  readonly #socket: Socket;
  readonly #pool: WritePool;
  #buffer: Buffer | undefined;
  #length = 0;

  constructor(socket: Socket, pool: WritePool) {
    this.#socket = socket;
    this.#pool = pool;
  }

  /** Takes a copy of these bytes; false when the client is too slow to take them, or gone. */
  add(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (!socket.writable || socket.writableLength + this.#length > MAX_WAITING) return false;
    if (this.#length + bytes.length > GATHERED_BYTES) this.flush();
    this.#buffer ??= this.#pool.take();
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return true;
  }

  /** Hands what was gathered to the system. */
  flush(): void {
    const socket = this.#socket;
    const pool = this.#pool;
    const buffer = this.#buffer;
    if (!buffer) return;
    const gathered = buffer.subarray(0, this.#length);
    this.#buffer = undefined;
    this.#length = 0;
    if (socket.writable && socket.writableLength === 0) {
      socket.write(gathered, () => pool.give(buffer));
      return;
    }
    // Behind others it may wait for long: as many bytes as it has, and not a whole buffer.
    if (socket.writable) socket.write(Buffer.from(gathered));
    pool.give(buffer);
  }
}
