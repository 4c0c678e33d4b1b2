export type Unsorted = string | number | readonly Unsorted[] | { readonly [key: string]: Unsorted };

/** Bencode as the modules of Kamailio and OpenSIPS write it: keys in the order in which they were added. */
export function bencodeUnsorted(value: Unsorted): string {
  if (typeof value === 'string') return `${Buffer.byteLength(value)}:${value}`;
  if (typeof value === 'number') return `i${value}e`;
  if (Array.isArray(value)) return `l${value.map(bencodeUnsorted).join('')}e`;
  const pairs = Object.entries(value).map(([key, v]) => bencodeUnsorted(key) + bencodeUnsorted(v as Unsorted));
  return `d${pairs.join('')}e`;
}
