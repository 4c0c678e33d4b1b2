export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `1.52 [1.40–1.71]`: median, least and most. */
export function spread(values: readonly number[], digits = 2): string {
  if (values.length === 0) return '–';
  const least = Math.min(...values).toFixed(digits);
  return `${median(values).toFixed(digits)} [${least}–${Math.max(...values).toFixed(digits)}]`;
}

/** The value below which that share of ascending values lies. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? 0;
}
