import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiError } from './api.ts';
import { type EventLog, type ToldEvent, toldTo } from './event-log.ts';

/** Streams of one account, and of all. */
const PER_ACCOUNT = 8;
const IN_ALL = 1000;
/** Bytes that a slow reader may have waiting. */
const SEND_BUFFER = 256 * 1024;
/** A comment now and then tells proxies and readers that the stream lives. */
const ALIVE_MS = 15_000;

export interface EventOptions {
  readonly events: EventLog;
  /** The account of a request's session. @throws ApiError 401 */
  readonly signedIn: (request: FastifyRequest) => { readonly user: string };
}

/**
 * `GET /api/events`: server-sent events (WHATWG HTML 9.2) of calls and registrations, in order. `Last-Event-ID`, or
 * `?after=<id>`, brings what was missed; when that is not all there any more the first event is `incomplete`. The session
 * is looked at again with each sign of life, so the stream ends with it.
 */
export function addEvents(app: FastifyInstance, { events, signedIn }: EventOptions): void {
  const open = new Map<string, number>();
  let all = 0;
  app.get('/api/events', async (request, reply) => {
    const { user } = signedIn(request);
    const mine = open.get(user) ?? 0;
    if (mine >= PER_ACCOUNT || all >= IN_ALL)
      throw new ApiError(429, 'too_many', `at most ${PER_ACCOUNT} event streams of one account at once`, 5);
    open.set(user, mine + 1);
    all++;
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    const write = (text: string) => {
      raw.write(text);
      if (raw.writableLength > SEND_BUFFER) raw.destroy();
    };
    const tell = (one: ToldEvent) => {
      const told = toldTo(one.event, user);
      if (told) write(serialised(one, told));
    };
    const after = lastSeen(request);
    if (after !== undefined) {
      const missed = events.after(after);
      if (!missed.complete) write('event: incomplete\ndata: {}\n\n');
      for (const logged of missed.events) tell(logged);
    } else write(': watching\n\n');
    const stop = events.watch(tell);
    const alive = setInterval(() => {
      try {
        signedIn(request);
        write(': alive\n\n');
      } catch {
        raw.end();
      }
    }, ALIVE_MS);
    raw.once('close', () => {
      stop();
      clearInterval(alive);
      all--;
      const left = (open.get(user) ?? 1) - 1;
      if (left > 0) open.set(user, left);
      else open.delete(user);
    });
  });
}

function lastSeen(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id'];
  const { after } = request.query as Record<string, unknown>;
  const id = typeof header === 'string' ? header : typeof after === 'string' ? after : undefined;
  return id?.slice(0, 100);
}

function serialised({ id, at, event: { type } }: ToldEvent, told: object): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify({ at, ...told })}\n\n`;
}
