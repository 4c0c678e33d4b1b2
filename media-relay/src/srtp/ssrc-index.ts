/** Streams that fit before the index grows, once, to `MAX_KNOWN_SSRCS`. */
export const FIRST_SSRCS = 32;
/** SSRCs one index ever knows: a peer that takes a new one each minute is served for 17 hours under one key. */
export const MAX_KNOWN_SSRCS = 1024;

/**
 * SSRC → dense number in order of arrival (0, 1, 2 …), which is never given to another SSRC. Looked up per packet without
 * allocating: open addressing, at most half full.
 */
export class SsrcIndex {
  #ssrcs = new Uint32Array(FIRST_SSRCS);
  #slots = new Int16Array(2 * FIRST_SSRCS).fill(-1);
  #shift = 32 - Math.log2(2 * FIRST_SSRCS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** For how many SSRCs there is room now; the owner's own columns are as long. */
  get capacity(): number {
    return this.#ssrcs.length;
  }

  /** The SSRC's number, -1 when it is new. */
  find(ssrc: number): number {
    return this.#slots[this.#place(ssrc)]!;
  }

  /** A number for an SSRC that `find` doesn't know; -1 when there is room for no more. May raise `capacity`. */
  add(ssrc: number): number {
    if (this.#count === MAX_KNOWN_SSRCS) return -1;
    if (this.#count === this.#ssrcs.length) this.#grow();
    const number = this.#count++;
    this.#ssrcs[number] = ssrc;
    this.#slots[this.#place(ssrc)] = number;
    return number;
  }

  clear(): void {
    this.#slots.fill(-1);
    this.#count = 0;
  }

  /** Where an SSRC stands, or the free place where it would. */
  #place(ssrc: number): number {
    const slots = this.#slots;
    let place = Math.imul(ssrc, 0x9e3779b1) >>> this.#shift;
    for (let n = slots[place]!; n >= 0 && this.#ssrcs[n] !== ssrc; n = slots[place]!) {
      place = (place + 1) & (slots.length - 1);
    }
    return place;
  }

  #grow(): void {
    const known = this.#ssrcs;
    this.#ssrcs = new Uint32Array(MAX_KNOWN_SSRCS);
    this.#ssrcs.set(known);
    this.#slots = new Int16Array(2 * MAX_KNOWN_SSRCS).fill(-1);
    this.#shift = 32 - Math.log2(2 * MAX_KNOWN_SSRCS);
    for (let n = 0; n < this.#count; n++) this.#slots[this.#place(known[n]!)] = n;
  }
}
