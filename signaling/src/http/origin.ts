import type { IncomingMessage } from 'node:http';
import { parseHostPort } from '@offhook/core';

export interface OriginOptions {
  /** Origins that are allowed by name. */
  readonly allowed: readonly string[];
  /** Whether a host name or address is this server's. */
  readonly isLocal: (host: string) => boolean;
}

/**
 * Whether a page may use the API and the SIP WebSocket: it has to come from this very server, by one of the names it is
 * known by (so a foreign name that points at our address does not count), or from an origin allowed by name. Requests
 * without Origin come from programs, not pages.
 */
export function isWelcomeOrigin(request: IncomingMessage, options: OriginOptions): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return true;
  if (options.allowed.includes(origin)) return true;
  if (origin !== `http://${host}` && origin !== `https://${host}`) return false;
  const name = parseHostPort(host ?? '');
  return name !== undefined && options.isLocal(name.host);
}
