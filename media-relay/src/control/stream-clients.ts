import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { decodeNg, encodeNg, type NgDictionary, type NgEncoding, NgStreamReader } from '@offhook/core';
import WebSocket from 'ws';
import { NG_SUBPROTOCOL } from './websocket.ts';

/** What came, in order, awaited one by one. */
class Inbox {
  readonly #queue: { cookie: string; message: NgDictionary }[] = [];
  #wake: (() => void) | undefined;

  put(bytes: Uint8Array): void {
    const decoded = decodeNg(bytes);
    if (!decoded) throw new Error('the relay sent what is no message');
    this.#queue.push(decoded);
    this.#wake?.();
  }

  async next(waitMs = 3000): Promise<{ cookie: string; message: NgDictionary }> {
    if (this.#queue.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('nothing came')), waitMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#queue.shift()!;
  }
}

/** A test's client over TCP or WebSocket. */
export interface StreamClient {
  /** Whole messages, or pieces of them where the transport is a stream. */
  raw(bytes: Uint8Array | string): void;
  next(waitMs?: number): Promise<{ cookie: string; message: NgDictionary }>;
  ask(message: NgDictionary, encoding?: NgEncoding): Promise<NgDictionary>;
  readonly closed: Promise<unknown>;
  close(): Promise<void>;
}

export async function tcpClient(port: number): Promise<StreamClient & { readonly socket: Socket }> {
  const socket = connect(port, '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  await once(socket, 'connect');
  const reader = new NgStreamReader();
  const inbox = new Inbox();
  socket.on('data', (chunk) => {
    for (let rest: Uint8Array = chunk; rest.length > 0; ) {
      rest = rest.subarray(reader.push(rest));
      for (let item = reader.next(); typeof item === 'object'; item = reader.next()) inbox.put(item);
    }
  });
  const close = async () => {
    socket.end();
    await closed;
  };
  return { ...client(inbox, (bytes) => socket.write(bytes)), closed, close, socket };
}

export async function webSocketClient(
  port: number,
  options: { path?: string; origin?: string; protocol?: string } = {},
): Promise<StreamClient & { readonly socket: WebSocket }> {
  const url = `ws://127.0.0.1:${port}${options.path ?? '/ng'}`;
  const socket = new WebSocket(
    url,
    options.protocol ?? NG_SUBPROTOCOL,
    options.origin ? { origin: options.origin } : {},
  );
  const closed = new Promise<number>((resolve) => socket.once('close', (code) => resolve(code)));
  const inbox = new Inbox();
  socket.on('message', (data: Buffer) => inbox.put(data));
  await once(socket, 'open');
  const close = async () => {
    socket.close();
    await closed;
  };
  return { ...client(inbox, (bytes) => socket.send(bytes)), closed, close, socket };
}

function client(inbox: Inbox, raw: (bytes: Uint8Array | string) => void) {
  let count = 0;
  return {
    raw,
    next: (waitMs?: number) => inbox.next(waitMs),
    ask: async (message: NgDictionary, encoding: NgEncoding = 'bencode') => {
      const cookie = `s${++count}`;
      raw(encodeNg(cookie, message, encoding));
      const answer = await inbox.next();
      if (answer.cookie !== cookie) throw new Error(`an answer to ${answer.cookie}, not to ${cookie}`);
      return answer.message;
    },
  };
}
