/** Reproducible numbers for link models and tests. Never for secrets. */
export interface Random {
  /** A float in [0, 1). */
  next(): number;
}

/** A splitmix32 generator: the same seed gives the same sequence everywhere. */
export function seededRandom(seed: number): Random {
  let s = seed >>> 0;
  const mix = () => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return { next: () => mix() / 0x1_0000_0000 };
}

/** `length` reproducible bytes from a seeded source. */
export function seededBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random.next() * 256));
}
