import type { SipMessage } from '@offhook/core';

/** An event package (RFC 6665 7): whose state of what kind may be watched by whom, and how it is written. */
export interface EventPackage {
  readonly name: string;
  /** Media type of the state. */
  readonly type: string;
  /** Seconds that a subscription lasts when the watcher names none. */
  readonly defaultS: number;
  /** Why that watcher may not have it; undefined when it may. */
  refusal?(watcher: string, resource: string): string | undefined;
  /** The whole state; `version` counts the documents of one subscription from 0. */
  write(of: { readonly watcher: string; readonly resource: string; readonly version: number }, nowMs: number): string;
}

/** An Event header: the package, and the id that tells subscriptions of one dialog apart (RFC 6665 8.2.1), both tokens. */
export function eventOf(message: SipMessage): { readonly name: string; readonly id: string | undefined } | undefined {
  const value = message.header('event');
  if (value === undefined || value.length > 256) return undefined;
  const [name = '', ...params] = value.split(';').map((part) => part.trim());
  if (!/^[\w.!%*+`'~-]{1,64}$/.test(name)) return undefined;
  const id = params.find((param) => /^id\s*=/i.test(param))?.replace(/^id\s*=\s*/i, '');
  if (id !== undefined && !/^[\w.!%*+`'~-]{1,64}$/.test(id)) return undefined;
  return { name: name.toLowerCase(), id };
}

/** Whether an Accept header lets that type through; without one everything is welcome. */
export function accepts(message: SipMessage, type: string): boolean {
  const ranges = message.values('accept').map((range) => range.split(';', 1)[0]!.trim().toLowerCase());
  const [main] = type.split('/');
  return ranges.length === 0 || ranges.some((r) => r === type || r === `${main}/*` || r === '*/*');
}
