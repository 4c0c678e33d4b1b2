/** Bits in the shared memory: no process is allowed more descriptors, mostly. */
const DESCRIPTORS = 1_048_576;

let noted: Int32Array | undefined;

/** Memory for the descriptors of one thread, a bit each; to be handed to it. */
export function descriptorMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(DESCRIPTORS / 8);
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
  for (let word = 0; word < words.length; word++) {
    const bits = words[word]!;
    if (bits === 0) continue;
    for (let bit = 0; bit < 32; bit++) if ((bits & (1 << bit)) !== 0) left.push(word * 32 + bit);
    words[word] = 0;
  }
  return left;
}
