// Phones that refresh their registrations as fast as they are told, each with the nonce that it has (RFC 7616 3.4: a
// higher nonce count instead of another challenge). A program of its own, so that it can have a processor of its own.
import { hash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

export interface RefreshTask {
  readonly serverPort: number;
  readonly domain: string;
  readonly password: string;
  readonly users: readonly string[];
  readonly ratePerS: number;
  readonly seconds: number;
}

export interface RefreshResult {
  readonly accepted: number;
  readonly failed: number;
  /** Turns that fell to a phone whose last request had no answer yet: the server was slower than the rate. */
  readonly skipped: number;
  readonly retransmissions: number;
  readonly challenges: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** RFC 3261 17.1.2: the first repetition, and when a request has failed. */
const T1_MS = 500;
const T2_MS = 4000;
const F_MS = 32_000;
const TICK_MS = 2;
/** Rates are per source, so the phones have several. */
const SOURCES = 8;

interface Phone {
  readonly index: number;
  readonly user: string;
  readonly ha1: string;
  readonly socket: Socket;
  readonly address: string;
  nonce: string | undefined;
  count: number;
  sequence: number;
  /** The request without an answer. */
  bytes: Buffer | undefined;
  sentMs: number;
  againMs: number;
  intervalMs: number;
}

const task = JSON.parse(process.argv[2]!) as RefreshTask;
const ha2 = hash('md5', `REGISTER:sip:${task.domain}`);
const counts = { accepted: 0, failed: 0, skipped: 0, retransmissions: 0, challenges: 0 };
const delays: number[] = [];
let measuring = false;

const sockets = await Promise.all(
  Array.from({ length: SOURCES }, async (_, i) => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    socket.bind(0, `127.0.0.${i + 1}`);
    await once(socket, 'listening');
    socket.on('message', handle);
    return socket;
  }),
);
const phones = task.users.map((user, index): Phone => {
  const socket = sockets[index % SOURCES]!;
  const { address, port } = socket.address();
  return {
    ...{
      index,
      user,
      socket,
      address: `${address}:${port}`,
      nonce: undefined,
      count: 0,
      sequence: 0,
      bytes: undefined,
    },
    ...{ ha1: hash('md5', `${user}:${task.domain}:${task.password}`), sentMs: 0, againMs: 0, intervalMs: T1_MS },
  };
});

await at(500, 1); // every phone has a nonce then, and the server has seen all of them
for (const phone of phones) if (phone.nonce === undefined) throw new Error(`${phone.user} got no challenge`);
measuring = true;
await at(task.ratePerS, Math.ceil(task.seconds * task.ratePerS));
const deadlineMs = performance.now() + 8000;
while (performance.now() < deadlineMs && phones.some(({ bytes }) => bytes)) await tick();
counts.failed += phones.filter(({ bytes }) => bytes).length;
for (const socket of sockets) socket.close();
delays.sort((a, b) => a - b);
const percentile = (part: number) => delays[Math.floor(delays.length * part)] ?? 0;
const result: RefreshResult = { ...counts, p50Ms: percentile(0.5), p99Ms: percentile(0.99) };
process.stdout.write(`${JSON.stringify(result)}\n`);

/** So many requests at that rate; with less than two for each phone, until each has had its answer. */
async function at(ratePerS: number, requests: number): Promise<void> {
  const startMs = performance.now();
  const all = Math.max(requests, phones.length);
  for (let sent = 0, turn = 0; sent < all; ) {
    await tick();
    const due = Math.min(all, Math.floor(((performance.now() - startMs) / 1000) * ratePerS));
    for (; sent < due; sent++, turn++) {
      const phone = phones[turn % phones.length]!;
      if (phone.bytes) counts.skipped += measuring ? 1 : 0;
      else send(phone);
    }
  }
  if (measuring) return;
  while (phones.some(({ bytes }) => bytes)) await tick();
}

async function tick(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  const nowMs = performance.now();
  for (const phone of phones) {
    if (!phone.bytes || nowMs < phone.againMs) continue;
    if (nowMs - phone.sentMs > F_MS) {
      counts.failed++;
      phone.bytes = undefined;
      continue;
    }
    counts.retransmissions++;
    phone.intervalMs = Math.min(phone.intervalMs * 2, T2_MS);
    phone.againMs = nowMs + phone.intervalMs;
    phone.socket.send(phone.bytes, task.serverPort, '127.0.0.1');
  }
}

function send(phone: Phone): void {
  const { user, index, address, nonce } = phone;
  const sequence = ++phone.sequence;
  let authorization = '';
  if (nonce !== undefined) {
    const nc = (++phone.count).toString(16).padStart(8, '0');
    const response = hash('md5', `${phone.ha1}:${nonce}:${nc}:abcdef:auth:${ha2}`);
    authorization =
      `Authorization: Digest username="${user}", realm="${task.domain}", nonce="${nonce}", uri="sip:${task.domain}", ` +
      `algorithm=MD5, qop=auth, nc=${nc}, cnonce="abcdef", response="${response}"\r\n`;
  }
  phone.bytes = Buffer.from(
    `REGISTER sip:${task.domain} SIP/2.0\r\nVia: SIP/2.0/UDP ${address};branch=z9hG4bK${index}-${sequence};rport\r\n` +
      `From: <sip:${user}@${task.domain}>;tag=t${index}\r\nTo: <sip:${user}@${task.domain}>\r\nCall-ID: refresh-${index}\r\n` +
      `CSeq: ${sequence} REGISTER\r\nContact: <sip:${user}@${address}>;expires=3600\r\n${authorization}` +
      'Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n',
  );
  phone.sentMs = performance.now();
  phone.intervalMs = T1_MS;
  phone.againMs = phone.sentMs + T1_MS;
  phone.socket.send(phone.bytes, task.serverPort, '127.0.0.1');
}

function handle(datagram: Buffer): void {
  const text = datagram.toString('latin1');
  const phone = phones[Number(/^Call-ID: refresh-(\d+)/im.exec(text)?.[1])];
  if (!phone?.bytes || Number(/^CSeq: (\d+)/im.exec(text)?.[1]) !== phone.sequence) return;
  const status = Number(text.slice(8, 11));
  if (status < 200) return;
  phone.bytes = undefined;
  if (status === 401) {
    const nonce = /nonce="([^"]+)"/.exec(text)?.[1];
    if (measuring) counts.challenges++;
    if (nonce === undefined || (phone.nonce !== undefined && !/stale=true/i.test(text))) counts.failed++;
    else {
      phone.nonce = nonce;
      phone.count = 0;
      send(phone);
    }
  } else if (status !== 200) counts.failed++;
  else if (measuring) {
    counts.accepted++;
    delays.push(performance.now() - phone.sentMs);
  }
}
