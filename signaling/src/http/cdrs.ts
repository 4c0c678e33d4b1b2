import type { FastifyInstance, FastifyRequest } from 'fastify';
import { seenBy } from '../call/index.ts';
import { type CdrPage, type CdrQuery, cdrsAsCsv, cursorText, readCdrQuery, StoreError } from '../store/index.ts';
import { ApiError } from './api.ts';

export interface CdrOptions {
  /** Records of ended calls. */
  readonly cdrs: (query: CdrQuery) => Promise<CdrPage>;
}

/** Records in one answer. */
const MOST = 500;
const MOST_AS_CSV = 10_000;
/** Searches of one user that may run at once; a page asks for one. */
const MOST_AT_ONCE = 4;

/** `GET /api/cdrs`: a user's own records, as that user may see them; the address of the next page is in Link (RFC 8288). */
export function addCdrs(
  app: FastifyInstance,
  options: CdrOptions & { readonly signedIn: (request: FastifyRequest) => { readonly user: string } },
): void {
  const running = new Map<string, number>();

  const search = async (query: CdrQuery, user: string): Promise<CdrPage> => {
    const others = running.get(user) ?? 0;
    if (others >= MOST_AT_ONCE)
      throw new ApiError(429, 'too_many', 'other searches of yours are still running: wait for them', 1);
    running.set(user, others + 1);
    try {
      return await options.cdrs(query);
    } catch (error) {
      if (error instanceof StoreError) throw new ApiError(503, 'busy', error.message, 2);
      throw error;
    } finally {
      const left = (running.get(user) ?? 1) - 1;
      if (left > 0) running.set(user, left);
      else running.delete(user);
    }
  };

  app.get('/api/cdrs', async (request, reply) => {
    const { user } = options.signedIn(request);
    const { format = 'json', ...parameters } = request.query as Record<string, unknown>;
    if (format !== 'json' && format !== 'csv') throw new ApiError(400, 'bad_request', 'format: json or csv');
    const isCsv = format === 'csv';
    const read = readCdrQuery(parameters, { user, isOwn: true, mostRecords: isCsv ? MOST_AS_CSV : MOST });
    if ('problem' in read) throw new ApiError(400, 'bad_request', read.problem);
    const { records, next } = await search(read.query, user);
    if (next) {
      const address = new URL(request.url, 'http://localhost');
      address.searchParams.set('before', cursorText(next));
      reply.header('Link', `<${address.pathname}${address.search}>; rel="next"`);
    }
    const seen = records.map((record) => seenBy(record, user));
    if (!isCsv) return seen;
    reply.header('Content-Disposition', 'attachment; filename="calls.csv"');
    reply.type('text/csv; charset=utf-8; header=present');
    return cdrsAsCsv(seen);
  });
}
