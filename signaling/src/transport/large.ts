import { connect, type Socket } from 'node:net';
import { parseUri, type SocketAddress, socketKey, text, utf8 } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import type { TransportHub } from './hub.ts';
import { acceptStream } from './stream.ts';

/** RFC 3261 18.1.1: "larger than 1300 bytes and the path MTU is unknown" */
const LARGE = 1300;
/** How long a phone may take to accept a connection, and how long one that has not is not asked again. */
const CONNECT_MS = 2000;
const REFUSED_MS = 3_600_000;
/** Phones remembered; the oldest is forgotten beyond this. */
const PHONES = 1000;
/** Transactions remembered for one connection: their CANCEL and ACK go the same way. */
const BRANCHES = 64;
/** Repeats of a request that a connection has swallowed without an answer, after which UDP has to do. */
const REPEATS = 2;

interface Phone {
  readonly state: 'trying' | 'open' | 'refused';
  readonly untilMs: number;
  /** The connection as the hub knows it. */
  readonly flow?: Flow;
  /** What waits for the connection, by branch. */
  readonly waiting: Map<string, Uint8Array>;
  /** How often each request has been sent there; answered ones are 0 for good. */
  readonly sent: Map<string, number>;
}

/**
 * Requests of ours that are too long for a datagram go by TCP to other servers, and to a phone registered over UDP, if it can
 * be reached so (RFC 3261 18.1.1): tried when its contact is where it sends from, because behind a NAT nobody would answer;
 * remembered for each; and back to UDP when the connection is refused, slow, or swallows requests without an answer.
 */
export class LargeRequests {
  readonly #hub: TransportHub;
  readonly #phones = new Map<string, Phone>();
  readonly #servers = new WeakSet<Flow>();

  constructor(hub: TransportHub) {
    this.#hub = hub;
  }

  /** There is a server (RFC 3263), behind no NAT: whatever the URIs of requests say, TCP is tried. */
  isServer(flow: Flow): void {
    this.#servers.add(flow);
  }

  /** Whether it has taken the message over; then it goes by TCP, or by `datagram` when that can't be. */
  take(flow: Flow, to: SocketAddress, bytes: Uint8Array, datagram: (bytes: Uint8Array) => void): boolean {
    const isLarge = bytes.length > LARGE;
    const key = socketKey(to);
    const phone = this.#phones.get(key);
    if (!isLarge && phone?.state !== 'open') return false;
    const head = headOf(bytes);
    if (!head) return false;
    if (phone?.state === 'open' && (isLarge || phone.sent.has(head.branch))) {
      const times = phone.sent.get(head.branch) ?? 0;
      if (isLarge && times > REPEATS) {
        this.#refused(key);
        return false;
      }
      if (isLarge && times === 0 && phone.sent.has(head.branch)) return true; // answered: TCP repeats nothing
      this.#write(phone, head.branch, bytes, times);
      return true;
    }
    if (!isLarge) return false;
    if (phone?.state === 'trying') {
      phone.waiting.set(head.branch, bytes);
      return true;
    }
    if (phone?.state === 'refused' && performance.now() < phone.untilMs) return false;
    if (!this.#servers.has(flow) && !isDirect(head.uri, to)) return false;
    this.#try(flow, to, { branch: head.branch, bytes, datagram });
    return true;
  }

  #try(
    udp: Flow,
    to: SocketAddress,
    first: { branch: string; bytes: Uint8Array; datagram: (bytes: Uint8Array) => void },
  ): void {
    const key = socketKey(to);
    const waiting = new Map([[first.branch, first.bytes]]);
    this.#keep(key, { state: 'trying', untilMs: 0, waiting, sent: new Map() });
    const socket: Socket = connect({ host: to.address, port: to.port, noDelay: true, keepAlive: true });
    const giveUp = () => {
      clearTimeout(timer);
      socket.destroy();
      this.#refused(key);
      for (const bytes of waiting.values()) first.datagram(bytes);
      waiting.clear();
    };
    const timer = setTimeout(giveUp, CONNECT_MS).unref();
    socket.once('error', giveUp);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', giveUp);
      const sent = new Map<string, number>();
      // Answers belong to transactions of the UDP flow; what the phone asks by itself is a flow of its own.
      const accepted = acceptStream(this.#hub, socket, 'tcp', (bytes, tcp) => {
        const branch = responseBranch(bytes);
        if (branch === undefined) return this.#hub.receive(bytes, tcp);
        if (sent.has(branch)) sent.set(branch, 0);
        return this.#hub.receive(bytes, udp);
      });
      if (!accepted) {
        giveUp();
        return;
      }
      accepted.flow.isKnown = true; // we have called it
      accepted.carry(socket);
      const phone: Phone = { state: 'open', untilMs: 0, flow: accepted.flow, waiting, sent };
      this.#keep(key, phone);
      socket.once('close', () => {
        if (this.#phones.get(key) !== phone) return;
        if ([...sent.values()].some((times) => times > 0)) this.#refused(key);
        else this.#phones.delete(key);
      });
      for (const [branch, bytes] of waiting) this.#write(phone, branch, bytes, 0);
      waiting.clear();
    });
  }

  #write(phone: Phone, branch: string, bytes: Uint8Array, times: number): void {
    if (phone.sent.size >= BRANCHES && !phone.sent.has(branch)) phone.sent.delete(phone.sent.keys().next().value!);
    phone.sent.set(branch, times + 1);
    // A stream repeats by itself; the first repeats of ours only tell how long nothing has come back.
    if (times === 0 || bytes.length <= LARGE) this.#hub.send(phone.flow!, overTcp(bytes));
  }

  #refused(key: string): void {
    const untilMs = performance.now() + REFUSED_MS;
    this.#keep(key, { state: 'refused', untilMs, waiting: new Map(), sent: new Map() });
  }

  #keep(key: string, phone: Phone): void {
    this.#phones.delete(key);
    if (this.#phones.size >= PHONES) this.#phones.delete(this.#phones.keys().next().value!);
    this.#phones.set(key, phone);
  }
}

/** Far enough for the first line and the top Via, which we have written ourselves. */
const HEAD = 2048;
const REQUEST = /^[A-Z]+ (\S+) SIP\/2\.0\r\nVia: SIP\/2\.0\/UDP [^\r\n]*;branch=([^;\r\n]+)/;

function headOf(bytes: Uint8Array): { readonly uri: string; readonly branch: string } | undefined {
  const match = REQUEST.exec(text(bytes.subarray(0, HEAD)));
  return match ? { uri: match[1]!, branch: match[2]! } : undefined;
}

function responseBranch(bytes: Uint8Array): string | undefined {
  const match = /^SIP\/2\.0 [^\n]*\n(?:[^\n]*\n)*?(?:Via|v)\s*:[^\n]*?;\s*branch=([^;,\s]+)/i.exec(
    text(bytes.subarray(0, HEAD)),
  );
  return match?.[1];
}

/** Whether the phone's contact is the very address that it sends from. */
function isDirect(uri: string, at: SocketAddress): boolean {
  const contact = parseUri(uri);
  return contact !== undefined && contact.host === at.address && (contact.port ?? 5060) === at.port;
}

const UDP = utf8('/UDP ');

/** "If this causes a change in the transport protocol from the one indicated in the top Via, the value … MUST be changed." */
function overTcp(bytes: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  const lineEnd = changed.indexOf(0x0a);
  const at = Buffer.from(changed.buffer, changed.byteOffset).indexOf(UDP, lineEnd);
  if (at > 0) changed.set(utf8('/TCP '), at);
  return changed;
}
