/**
 * Copies bytes between packets and a store of its owner, a word at a time and without making a view of each packet: for a voice
 * packet that is cheaper than `set(subarray(…))`, and it leaves nothing to collect. Fastest where both begin at multiples of four.
 */
export class PacketCopy {
  readonly store: Uint8Array;
  readonly #storeMemory: Memory;
  #packets: Uint8Array;
  #packetMemory: Memory;

  constructor(bytes: number) {
    this.store = new Uint8Array(bytes);
    this.#storeMemory = newMemory(this.store.buffer);
    this.#packets = this.store;
    this.#packetMemory = this.#storeMemory;
  }

  /** From a packet to place `at` of the store. */
  put(packet: Uint8Array, offset: number, at: number, length: number): void {
    this.#look(packet);
    copyWords(this.#packetMemory, offset + packet.byteOffset, this.#storeMemory, at, length);
    for (let i = length & ~3; i < length; i++) this.store[at + i] = packet[offset + i]!;
  }

  /** From place `at` of the store to a packet. */
  take(packet: Uint8Array, offset: number, at: number, length: number): void {
    this.#look(packet);
    copyWords(this.#storeMemory, at, this.#packetMemory, offset + packet.byteOffset, length);
    for (let i = length & ~3; i < length; i++) packet[offset + i] = this.store[at + i]!;
  }

  /** Packets lie in the same few memories again and again, mostly in that of the last one. */
  #look(packet: Uint8Array): void {
    if (packet === this.#packets) return;
    this.#packets = packet;
    this.#packetMemory = memoryOf(packet);
  }
}

/** The whole memory that a packet lies in; places count from its beginning. */
interface Memory {
  readonly words: Uint32Array;
  readonly view: DataView;
}

/** Those that packets were seen in: where packets come from one and go to another, nothing is made anew each time. */
const known = new WeakMap<ArrayBufferLike, Memory>();

function memoryOf({ buffer }: Uint8Array): Memory {
  let memory = known.get(buffer);
  if (memory === undefined) {
    memory = newMemory(buffer);
    known.set(buffer, memory);
  }
  return memory;
}

function newMemory(buffer: ArrayBufferLike): Memory {
  return { words: new Uint32Array(buffer, 0, buffer.byteLength >> 2), view: new DataView(buffer) };
}

/** All whole words of `length` bytes. */
function copyWords(from: Memory, offset: number, to: Memory, at: number, length: number): void {
  const count = length >> 2;
  if (((offset | at) & 3) === 0) {
    const source = from.words;
    const target = to.words;
    const first = offset >> 2;
    const place = at >> 2;
    for (let i = 0; i < count; i++) target[place + i] = source[first + i]!;
  } else for (let i = 0; i < count * 4; i += 4) to.view.setUint32(at + i, from.view.getUint32(offset + i));
}
