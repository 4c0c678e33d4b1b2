/** Bits in the shared memory: no process is allowed more descriptors, mostly. */
const DESCRIPTORS = 1_048_576;
/** Behind them: memory that the system has mapped for the thread, as address (low and high word) and length. */
const MAPS_AT = DESCRIPTORS / 32;
const MAPS = 4;
const MAP_WORDS = 3;

let noted: Int32Array | undefined;

/** Memory for the descriptors of one thread, a bit each; to be handed to it. */
export function descriptorMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((MAPS_AT + MAPS * MAP_WORDS) * 4);
}

/** Notes memory that the system has mapped, which is the process's too; beyond `MAPS` of them it isn't noted. */
export function noteMapped(address: number, bytes: number): void {
  if (!noted) return;
  for (let at = MAPS_AT; at < noted.length; at += MAP_WORDS) {
    if (noted[at + 2] !== 0) continue;
    noted[at] = address % 0x100000000;
    noted[at + 1] = Math.floor(address / 0x100000000);
    noted[at + 2] = bytes;
    return;
  }
}

/** To be called before it is unmapped. */
export function noteUnmapped(address: number): void {
  if (!noted) return;
  for (let at = MAPS_AT; at < noted.length; at += MAP_WORDS) if (addressAt(noted, at) === address) noted[at + 2] = 0;
}

/** The memory noted, which is then no longer noted; the thread must have ended. */
export function takeMapped(memory: SharedArrayBuffer): { readonly address: number; readonly bytes: number }[] {
  const words = new Int32Array(memory);
  const left: { address: number; bytes: number }[] = [];
  for (let at = MAPS_AT; at < words.length; at += MAP_WORDS) {
    if (words[at + 2] !== 0) left.push({ address: addressAt(words, at), bytes: words[at + 2]! });
    words[at + 2] = 0;
  }
  return left;
}

function addressAt(words: Int32Array, at: number): number {
  return (words[at]! >>> 0) + words[at + 1]! * 0x100000000;
}

/**
 * Notes in this memory which descriptors batched UDP has open in this thread. They are the process's: what a thread leaves
 * open that is ended from outside stays so, until somebody calls `closeLeftDescriptors`.
 */
export function noteDescriptors(memory: SharedArrayBuffer): void {
  noted = new Int32Array(memory);
}

export function noteOpened(fd: number): void {
  if (noted && fd < DESCRIPTORS) Atomics.or(noted, fd >>> 5, 1 << (fd & 31));
}

/** To be called before it is closed: afterwards another thread may have the number. */
export function noteClosed(fd: number): void {
  if (noted && fd < DESCRIPTORS) Atomics.and(noted, fd >>> 5, ~(1 << (fd & 31)));
}

/** The descriptors noted, which are then no longer noted; the thread must have ended. */
export function takeNoted(memory: SharedArrayBuffer): number[] {
  const words = new Int32Array(memory);
  const left: number[] = [];
  for (let word = 0; word < MAPS_AT; word++) {
    const bits = words[word]!;
    if (bits === 0) continue;
    for (let bit = 0; bit < 32; bit++) if ((bits & (1 << bit)) !== 0) left.push(word * 32 + bit);
    words[word] = 0;
  }
  return left;
}
