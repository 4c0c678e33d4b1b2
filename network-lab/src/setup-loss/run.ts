import { type Crypto, type SocketAddress, seededCrypto, VirtualNetwork } from '@offhook/core';
import { Caller, type SetupOutcome, TIMER_B_MS } from './caller.ts';
import { VirtualServer } from './server.ts';

export interface SetupUnderLossOptions {
  readonly calls: number;
  /** 0–1, on each direction on its own. */
  readonly loss: number;
  readonly seed: number;
  readonly crypto: Crypto;
  /** One way, milliseconds. Default 20. */
  readonly delayMs?: number;
  /** Between the beginnings of two calls, milliseconds. Default 250: a user may begin 5 calls a second. */
  readonly everyMs?: number;
}

export interface SetupUnderLossReport {
  readonly calls: number;
  readonly loss: number;
  readonly seed: number;
  /** Answered within timer B of the first INVITE. */
  readonly inTime: number;
  /** Answered, however late. */
  readonly answered: number;
  /** Final statuses of calls that were not answered: `{"408": 1}`. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of the answered ones. */
  readonly setupMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  readonly challenges: number;
  /** 2xx that came again because the ACK was lost or late. */
  readonly repeatedOk: number;
  readonly datagrams: { readonly sent: number; readonly lost: number };
  /** What the server and the caller still held when everything had had time to end; all zero unless there is a defect. */
  readonly left: {
    readonly calls: number;
    readonly dialogs: number;
    readonly transactions: number;
    readonly relayCalls: number;
  };
  /** Virtual seconds that passed. */
  readonly virtualS: number;
}

const SERVER: SocketAddress = { address: '198.51.100.1', port: 5060 };
const CALLER: SocketAddress = { address: '192.0.2.1', port: 5060 };
const DOMAIN = 'lab.example';
const HOLD_MS = 2000;
/** Longer than any transaction or dialog of a finished call. */
const SETTLE_MS = 120_000;
const SDP =
  'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';

/**
 * Calls to the echo over a network that loses packets, in virtual time: a phone with cached credentials, the whole
 * signalling server, loss on every datagram both ways. The same seed gives the same run.
 */
export async function setupUnderLoss(options: SetupUnderLossOptions): Promise<SetupUnderLossReport> {
  const { calls, loss, seed, delayMs = 20, everyMs = 250 } = options;
  const network = new VirtualNetwork({ seed, link: { lossProbability: loss, delayMs } });
  const crypto = seededCrypto(seed, options.crypto);
  const users = { alice: 'a-good-password' };
  const server = new VirtualServer({ network, crypto, address: SERVER, domain: DOMAIN, users });
  const caller = new Caller({
    network,
    crypto,
    address: CALLER,
    server: SERVER,
    domain: DOMAIN,
    user: 'alice',
    password: users.alice,
  });
  network.run(10);
  let registered: number | undefined;
  // A phone that fails to register tries again; only the calls are measured.
  const register = () =>
    caller.register((status) => {
      registered = status;
      if (status !== 200) register();
    });
  register();
  while (registered !== 200 && network.clock.nowMs < 300_000 && network.step());
  if (registered !== 200) throw new Error(`the phone could not register: ${registered ?? 'no answer'}`);

  const outcomes: Promise<SetupOutcome>[] = [];
  const startMs = network.clock.nowMs;
  for (let i = 0; i < calls; i++) {
    network.at(startMs + i * everyMs, () => {
      outcomes.push(caller.call('600', SDP, HOLD_MS));
    });
  }
  network.run(startMs + calls * everyMs + TIMER_B_MS * 3 + SETTLE_MS);
  if (caller.size > 0) throw new Error(`${caller.size} calls never ended`);
  const all = await Promise.all(outcomes);
  const { core, relay } = server;
  const left = {
    calls: core.calls.size,
    dialogs: core.calls.dialogs,
    transactions: core.transactions.size + caller.transactions.size,
    relayCalls: relay.calls.size,
  };
  server.stop();
  return {
    ...evaluate(all),
    calls,
    loss,
    seed,
    left,
    datagrams: { sent: network.sent, lost: network.lost },
    virtualS: Math.round(network.clock.nowMs / 1000),
  };
}

function evaluate(all: readonly SetupOutcome[]) {
  const answered = all.filter((o) => o.result === 'answered');
  const failures: Record<string, number> = {};
  for (const o of all) if (o.result !== 'answered') failures[o.status] = (failures[o.status] ?? 0) + 1;
  const times = answered.map((o) => o.setupMs).sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  const sum = (of: (o: SetupOutcome) => number) => all.reduce((total, o) => total + of(o), 0);
  return {
    inTime: answered.filter((o) => o.setupMs <= TIMER_B_MS).length,
    answered: answered.length,
    failures,
    setupMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: times.at(-1) ?? 0 },
    challenges: sum((o) => o.challenges),
    repeatedOk: sum((o) => o.repeatedOk),
  };
}

/** The report for people. */
export function reportTable(report: SetupUnderLossReport): string {
  const { setupMs: ms } = report;
  const failures = Object.entries(report.failures).map(([status, n]) => `${n} × ${status}`);
  const rows: readonly (readonly [string, string])[] = [
    ['calls to 600', `${report.calls}, ${report.loss * 100} % of all datagrams lost each way, seed ${report.seed}`],
    ['set up within timer B', `${report.inTime} of ${report.calls}`],
    ['failed', failures.length === 0 ? 'none' : failures.join(', ')],
    ['time to the answer, ms', `median ${ms.p50}, 95 % ${ms.p95}, 99 % ${ms.p99}, longest ${ms.max}`],
    ['challenged again', String(report.challenges)],
    ['answers repeated', String(report.repeatedOk)],
    ['datagrams', `${report.datagrams.sent} sent, ${report.datagrams.lost} lost`],
    [
      'left at the end',
      Object.entries(report.left)
        .map(([what, n]) => `${what} ${n}`)
        .join(', '),
    ],
    ['virtual time', `${report.virtualS} s`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return `${rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')}\n`;
}
