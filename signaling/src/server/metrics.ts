import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Histogram, series } from '@offhook/core';
import { AdminClient, monotonicMs, udpReceiveBufferErrors } from '@offhook/core/node';
import type { Accounts } from '../auth/index.ts';
import { sessionMetrics } from '../call/index.ts';
import type { HttpServer } from '../http/index.ts';
import { registrationFigures } from '../registrar/index.ts';
import type { Journal } from '../store/index.ts';
import type { TransportHub } from '../transport/index.ts';
import type { SipCore } from './core.ts';
import { prometheus } from './prometheus.ts';

/** Every figure of this part by its Prometheus name, labels included; gauges have no `_total`. */
export function numbers(of: {
  core: SipCore;
  hub: TransportHub;
  accounts: Accounts;
  http: HttpServer;
  journal: Journal;
  /** Seconds that the event loop was late at each look. */
  lag: Histogram;
  internalErrors: number;
}): Record<string, number> {
  const { core, hub, accounts, http } = of;
  const out: Record<string, number> = {
    sip_accounts: accounts.size,
    sip_registrations: core.registrar.size,
    sip_calls: core.calls.size,
    sip_dialogs: core.calls.dialogs,
    sip_transactions: core.transactions.size,
    sip_messages: core.messages.size,
    sip_subscriptions: core.presence.notifier.size,
    sip_publications: core.presence.publications.size,
    sip_connections: hub.connections,
    sip_connections_outgoing: hub.outgoing,
    sip_nonces_used: core.authenticator.noncesUsed,
    sip_relay_calls: core.media.calls,
    sip_journal_waiting: of.journal.waiting,
    sip_relay_healthy: core.media.healthy ? 1 : 0,
    sip_internal_errors_total: of.internalErrors,
    'sip_dropped_total{reason="rate"}': core.admission.dropped,
    ...banFigures(core),
    'sip_dropped_total{reason="lag"}': core.shedding.counters.strangersShed,
    sip_calls_shed_total: core.shedding.counters.callsShed,
    ...core.trunks.figures(),
    ...sessionMetrics(core.calls.counters.caller, 'caller'),
    ...sessionMetrics(core.calls.counters.callee, 'callee'),
    ...registrationFigures(core.registrations, 'sip_registrar'),
    ...core.registrations.delay.figures('sip_registrar_processing_seconds'),
    ...hub.traffic.figures(),
    ...of.lag.figures('nodejs_eventloop_lag_seconds'),
  };
  for (const [family, errors] of Object.entries(udpReceiveBufferErrors()))
    out[series('host_udp_receive_buffer_errors_total', { family })] = errors;
  const add = (prefix: string, counters: object) => {
    for (const [name, value] of Object.entries(counters))
      if (typeof value === 'number') out[`${prefix}_${snake(name)}_total`] = value;
  };
  add('sip_call', core.calls.counters);
  add('sip_message', core.messages.counters);
  add('sip_subscription', core.presence.notifier.counters);
  add('sip_publication', core.presence.publications.counters);
  add('sip_quality_report', core.quality.counters);
  add('sip_transaction', core.transactions.counters);
  add('sip_auth', core.authenticator.counters);
  add('sip_bearer', core.bearer?.counters ?? {});
  add('sip_transport', hub.counters);
  add('sip_locate', core.locator.counters);
  add('sip_relay', core.media.counters);
  add('sip_journal', of.journal.counters);
  for (const [status, count] of core.admission.refused) out[`sip_refused_total{status="${status}"}`] = count;
  for (const [status, count] of http.upgrades.refused) out[`sip_upgrades_refused_total{status="${status}"}`] = count;
  return out;
}

function banFigures({ bans }: SipCore): Record<string, number> {
  if (!bans) return {};
  const made = Object.entries(bans.made).map(([why, count]) => [`sip_bans_total{why="${why}"}`, count] as const);
  return {
    sip_bans_active: bans.active(monotonicMs()),
    sip_banned_dropped_total: bans.dropped,
    ...Object.fromEntries(made),
  };
}

/** How long another part may take for its figures before it is left out. */
const PART_MS = 1000;

/** The figures of this part and of every other one whose admin socket lies in `runDir`, each labelled by its part. */
export async function allMetrics(own: { part: string; figures: Record<string, number> }, runDir: string) {
  const sockets = (await readdir(runDir).catch(() => [])).filter((name) => name.endsWith('.sock'));
  const others = sockets.map((name) => name.slice(0, -'.sock'.length)).filter((part) => part !== own.part);
  const answers = await Promise.all(others.map((part) => ask(part, join(runDir, `${part}.sock`))));
  return prometheus([own, ...answers.filter((answer) => answer !== undefined)]);
}

async function ask(
  part: string,
  socket: string,
): Promise<{ part: string; figures: Record<string, number> } | undefined> {
  try {
    const client = await AdminClient.connect(socket);
    try {
      return { part, figures: (await client.call('metrics', {}, PART_MS)) as Record<string, number> };
    } finally {
      client.close();
    }
  } catch {
    return undefined; // that part is down; the supervisor says so
  }
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
