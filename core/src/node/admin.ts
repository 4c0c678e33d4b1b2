import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';

/** One verb of an admin socket: arguments in, JSON-serialisable answer out; a thrown Error becomes `error` in the answer. */
export type AdminHandler = (args: Record<string, unknown>) => unknown;

export interface AdminServer {
  close(): Promise<void>;
}

const MAX_LINE = 1 << 20;

/**
 * Serves JSON lines on a Unix socket that only this user may open: `{"id":1,"verb":"status","args":{}}` is answered by
 * `{"id":1,"result":…}` or `{"id":1,"error":"…"}`. A stale socket file is replaced.
 */
export function serveAdmin(path: string, verbs: Readonly<Record<string, AdminHandler>>): Promise<AdminServer> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    readLines(socket, async (line) => {
      const answer = await handleLine(verbs, line);
      if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve({
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of open) socket.end();
          }),
      });
    });
  });
}

async function handleLine(verbs: Readonly<Record<string, AdminHandler>>, line: string): Promise<object> {
  let id: unknown = null;
  try {
    const request = JSON.parse(line) as { id?: unknown; verb?: unknown; args?: unknown };
    id = request.id ?? null;
    const handler =
      typeof request.verb === 'string' && Object.hasOwn(verbs, request.verb) ? verbs[request.verb] : undefined;
    if (!handler) return { id, error: `unknown verb; known are: ${Object.keys(verbs).join(', ')}` };
    return { id, result: (await handler((request.args ?? {}) as Record<string, unknown>)) ?? null };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

function readLines(socket: Socket, onLine: (line: string) => void): void {
  let held = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    held += chunk;
    if (held.length > MAX_LINE) {
      socket.destroy();
      return;
    }
    let end = held.indexOf('\n');
    while (end >= 0) {
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      if (line.trim() !== '') onLine(line);
      end = held.indexOf('\n');
    }
  });
}

/** A connection to a part's admin socket. `closed` settles when the part goes away. */
export class AdminClient {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (v: unknown) => void; reject: (e: Error) => void }>();
  #nextId = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the part closed its admin socket'));
      this.#waiting.clear();
    });
    readLines(socket, (line) => {
      const answer = JSON.parse(line) as { id: number; result?: unknown; error?: string };
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error === undefined) waiting?.resolve(answer.result);
      else waiting?.reject(new Error(answer.error));
    });
  }

  /** Connects, or rejects with the system's error (ENOENT, ECONNREFUSED) when no part listens there. */
  static connect(path: string): Promise<AdminClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new AdminClient(socket));
      });
    });
  }

  /** Calls one verb; rejects with the part's own words, or after `timeoutMs`. */
  call(verb: string, args: Record<string, unknown> = {}, timeoutMs = 5000): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`no answer to '${verb}' within ${timeoutMs} ms`));
      }, timeoutMs);
      const settle =
        <T>(f: (v: T) => void) =>
        (v: T) => {
          clearTimeout(timer);
          f(v);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#socket.write(`${JSON.stringify({ id, verb, args })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** One call on a fresh connection. */
export async function callAdmin(path: string, verb: string, args: Record<string, unknown> = {}): Promise<unknown> {
  const client = await AdminClient.connect(path);
  try {
    return await client.call(verb, args);
  } finally {
    client.close();
  }
}
