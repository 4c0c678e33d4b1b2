// Many web phones that register over WebSocket and then wait, in a program of its own. They come back like the web phone
// when their connection is lost (web-phone/src/ua/backoff.ts). Lines of JSON on stdin are orders, each answered by one on stdout.
import { hash, randomInt } from 'node:crypto';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

export interface IdleTask {
  readonly url: string;
  readonly domain: string;
  readonly password: string;
  readonly users: readonly string[];
  /** Phones of each user. */
  readonly phonesPerUser: number;
  /** Connections that are being opened at a time. */
  readonly atOnce: number;
}

export type IdleOrder = 'connect' | 'census' | 'leave';

export interface Census {
  readonly phones: number;
  readonly registered: number;
  /** REGISTERs that ended with anything but 200 or another challenge, and connections lost that nobody cut on purpose. */
  readonly failed: number;
  readonly lost: number;
  /** Connections that could not be opened: while the server was away, and while it was there (HTTP answered). */
  readonly refused: number;
  readonly answeredOtherwise: number;
  readonly why: Readonly<Record<string, number>>;
  /** Since the last loss: until half, and until all were registered again, milliseconds. */
  readonly halfBackMs: number | undefined;
  readonly allBackMs: number | undefined;
}

// The delays of the web phone, which no other folder may import.
const EAGER_MS = 15_000;
const backoffMs = (attempt: number, sinceLossMs: number): number => {
  const base = Math.min(sinceLossMs < EAGER_MS ? 1000 : 20_000, 100 * 2 ** Math.min(attempt, 20));
  return base * (1 + 0.4 * (2 * Math.random() - 1));
};

const task = JSON.parse(process.argv[2]!) as IdleTask;
const ha2 = hash('md5', `REGISTER:sip:${task.domain}`);
const why: Record<string, number> = {};
const counts = { failed: 0, lost: 0, refused: 0, answeredOtherwise: 0 };
let registered = 0;
let opening = 0;
let isLeaving = false;
let lostMs: number | undefined;
let halfBackMs: number | undefined;
let allBackMs: number | undefined;
let onAll: (() => void) | undefined;

class IdlePhone {
  readonly #user: string;
  readonly #id: number;
  readonly #ha1: string;
  #socket: WebSocket | undefined;
  #isRegistered = false;
  #attempt = 0;
  #sequence = 0;
  #lostMs = 0;

  constructor(user: string, id: number) {
    this.#user = user;
    this.#id = id;
    this.#ha1 = hash('md5', `${user}:${task.domain}:${task.password}`);
  }

  /** Answers when it is registered, or as soon as it is not. */
  connect(): Promise<void> {
    return new Promise((settled) => {
      const socket = new WebSocket(task.url, ['sip'], { perMessageDeflate: false });
      this.#socket = socket;
      let isOpen = false;
      socket.on('open', () => {
        isOpen = true;
        this.#register(undefined);
      });
      socket.on('unexpected-response', (_request, response) => {
        counts.answeredOtherwise++;
        note(`HTTP ${response.statusCode}`);
        socket.terminate();
      });
      socket.on('error', () => socket.terminate());
      socket.on('message', (data) => this.#handle(String(data), settled));
      socket.on('close', () => {
        settled();
        if (!isOpen) counts.refused++;
        this.#lost(isOpen);
      });
    });
  }

  leave(): void {
    this.#socket?.terminate();
  }

  #lost(wasOpen: boolean): void {
    if (this.#isRegistered) {
      this.#isRegistered = false;
      registered--;
    }
    if (isLeaving) return;
    const nowMs = performance.now();
    if (wasOpen) {
      counts.lost++;
      this.#attempt = 0;
      this.#lostMs = nowMs;
      // All are lost at once; the first one tells when.
      if (allBackMs !== undefined || lostMs === undefined) {
        lostMs = nowMs;
        halfBackMs = undefined;
        allBackMs = undefined;
      }
    }
    setTimeout(() => void this.connect(), backoffMs(this.#attempt++, nowMs - this.#lostMs));
  }

  #register(challenge: string | undefined): void {
    const sequence = ++this.#sequence;
    let authorization = '';
    if (challenge !== undefined) {
      const response = hash('md5', `${this.#ha1}:${challenge}:00000001:abcdef:auth:${ha2}`);
      authorization =
        `Authorization: Digest username="${this.#user}", realm="${task.domain}", nonce="${challenge}", uri="sip:${task.domain}", ` +
        `algorithm=MD5, qop=auth, nc=00000001, cnonce="abcdef", response="${response}"\r\n`;
    }
    this.#socket!.send(
      `REGISTER sip:${task.domain} SIP/2.0\r\nVia: SIP/2.0/WS p${this.#id}.invalid;branch=z9hG4bK${randomInt(2 ** 40).toString(36)}\r\n` +
        `From: <sip:${this.#user}@${task.domain}>;tag=t${this.#id}\r\nTo: <sip:${this.#user}@${task.domain}>\r\n` +
        `Call-ID: idle-${this.#id}\r\nCSeq: ${sequence} REGISTER\r\nMax-Forwards: 70\r\nSupported: path, outbound, gruu\r\n` +
        `Contact: <sip:p${this.#id}@p${this.#id}.invalid;transport=ws>;+sip.instance="<urn:uuid:00000000-0000-4000-8000-${String(this.#id).padStart(12, '0')}>";reg-id=1;expires=600\r\n` +
        `${authorization}Content-Length: 0\r\n\r\n`,
    );
  }

  #handle(text: string, settled: () => void): void {
    const status = Number(text.slice(8, 12));
    if (!text.startsWith('SIP/2.0') || Number(/^CSeq: (\d+)/im.exec(text)?.[1]) !== this.#sequence) return;
    if (status === 401) {
      this.#register(/nonce="([^"]+)"/.exec(text)?.[1]);
      return;
    }
    settled();
    if (status !== 200) {
      counts.failed++;
      note(text.split('\r\n', 1)[0]!);
      this.#socket!.terminate();
      return;
    }
    if (!this.#isRegistered) registered++;
    this.#isRegistered = true;
    this.#attempt = 0;
    const sinceMs = performance.now() - (lostMs ?? 0);
    if (registered >= phones.length / 2) halfBackMs ??= sinceMs;
    if (registered < phones.length) return;
    allBackMs ??= sinceMs;
    onAll?.();
  }
}

function note(words: string): void {
  why[words] = (why[words] ?? 0) + 1;
}

const phones = task.users.flatMap((user, u) =>
  Array.from({ length: task.phonesPerUser }, (_, i) => new IdlePhone(user, u * task.phonesPerUser + i)),
);

const orders: Readonly<Record<IdleOrder, () => Promise<unknown>>> = {
  /** Answers when every phone is registered. */
  connect: async () => {
    const began = performance.now();
    const all = new Promise<void>((resolve) => {
      onAll = resolve;
    });
    const waiting = [...phones];
    const next = async (): Promise<void> => {
      for (let phone = waiting.shift(); phone; phone = waiting.shift()) {
        opening++;
        await phone.connect();
        opening--;
      }
    };
    await Promise.all(Array.from({ length: task.atOnce }, next));
    await all;
    return { ms: performance.now() - began, opening };
  },
  census: async (): Promise<Census> => ({ phones: phones.length, registered, ...counts, why, halfBackMs, allBackMs }),
  leave: async () => {
    isLeaving = true;
    for (const phone of phones) phone.leave();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const result = await orders[line as IdleOrder]();
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit();
