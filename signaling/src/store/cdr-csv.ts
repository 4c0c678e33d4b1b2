import type { Cdr } from './journal-schema.ts';

const COLUMNS = [
  'id',
  'startedAt',
  'answeredAt',
  'endedAt',
  'talkedS',
  'from',
  'to',
  'answeredBy',
  'status',
  'reason',
  'media',
];

/** The records as RFC 4180 has it, with a header line; times in ISO 8601, UTC. */
export function cdrsAsCsv(records: readonly Cdr[], { withHeader } = { withHeader: true }): string {
  const rows = records.map((cdr) => [
    cdr.id,
    iso(cdr.startedAt),
    iso(cdr.answeredAt),
    iso(cdr.endedAt),
    cdr.answeredAt === undefined ? '0' : ((cdr.endedAt - cdr.answeredAt) / 1000).toFixed(3),
    cdr.from,
    cdr.to,
    cdr.answeredBy ?? '',
    String(cdr.status),
    cdr.reason,
    cdr.media,
  ]);
  return [...(withHeader ? [COLUMNS] : []), ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

function iso(ms: number | undefined): string {
  return ms === undefined ? '' : new Date(ms).toISOString();
}

/** What a spreadsheet would take for a formula, numbers with a + among them, gets an apostrophe before it. */
function field(value: string): string {
  const harmless = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
