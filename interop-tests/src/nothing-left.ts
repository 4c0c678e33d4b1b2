import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Figures of each part by name, as its admin socket's `metrics` gives them. */
export type Figures = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What calls and relayed addresses take up, part by part; all of it is 0 when they are over. */
export const AFTER_CALLS = {
  signaling: ['sip_calls', 'sip_dialogs', 'sip_relay_calls'],
  'media-relay-0': ['offhook_media_calls', 'offhook_media_transports', 'offhook_media_rtp_port_pairs'],
  turn: [
    'offhook_turn_allocations',
    'offhook_turn_users',
    'offhook_turn_relay_sockets',
    'offhook_turn_relay_ports_taken',
  ],
} as const;

/** The same and the transactions, whose last timers take 32 s (RFC 3261 17, RFC 6026). */
export const AFTER_TRANSACTIONS = {
  ...AFTER_CALLS,
  signaling: [...AFTER_CALLS.signaling, 'sip_transactions'],
} as const;

/** The gauges that are not 0, in words. A gauge that a part does not have is an error: it would never show anything. */
export function leftOver(figures: Figures, gauges: Readonly<Record<string, readonly string[]>>): string[] {
  const left: string[] = [];
  for (const [part, names] of Object.entries(gauges)) {
    for (const name of names) {
      const value = figures[part]?.[name];
      if (value === undefined) throw new Error(`${part} has no gauge ${name}`);
      if (value !== 0) left.push(`${part}: ${name} ${value}`);
    }
  }
  return left;
}

/** UDP sockets that a process holds, as the kernel sees it: what it should have closed counts, whatever its gauges say. */
export function udpSocketsOf(pid: number): number {
  const open = new Set<string>();
  for (const table of ['udp', 'udp6']) {
    const lines = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1);
    for (const line of lines) open.add(`socket:[${line.trim().split(/\s+/)[9]}]`);
  }
  let count = 0;
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (open.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`))) count++;
    } catch {
      // closed since it was listed
    }
  }
  return count;
}
