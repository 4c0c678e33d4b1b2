import type { Accounts } from '../auth/index.ts';
import type { TransportHub } from '../transport/index.ts';
import type { SipCore } from './core.ts';

/** Every figure of this part by its Prometheus name; gauges have no `_total`. */
export function numbers({
  core,
  hub,
  accounts,
}: {
  core: SipCore;
  hub: TransportHub;
  accounts: Accounts;
}): Record<string, number> {
  const out: Record<string, number> = {
    sip_accounts: accounts.size,
    sip_registrations: core.registrar.size,
    sip_calls: core.calls.size,
    sip_dialogs: core.calls.dialogs,
    sip_transactions: core.transactions.size,
    sip_connections: hub.connections,
    sip_relay_calls: core.media.calls,
    sip_relay_healthy: core.media.healthy ? 1 : 0,
    sip_dropped_total: core.admission.dropped,
  };
  const add = (prefix: string, counters: object) => {
    for (const [name, value] of Object.entries(counters))
      if (typeof value === 'number') out[`${prefix}_${snake(name)}_total`] = value;
  };
  add('sip_call', core.calls.counters);
  add('sip_transaction', core.transactions.counters);
  add('sip_auth', core.authenticator.counters);
  add('sip_transport', hub.counters);
  add('sip_relay', core.media.counters);
  for (const [status, count] of core.admission.refused) out[`sip_refused_${status}_total`] = count;
  return out;
}

/** The text format of Prometheus. */
export function prometheus(figures: Record<string, number>): string {
  return Object.entries(figures)
    .map(([name, value]) => `# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}\n${name} ${value}\n`)
    .join('');
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
