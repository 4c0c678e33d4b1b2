import { ipFamily, isLoopback, parseUri, type SocketAddress, socketKey, unmapped } from '@offhook/core';
import type { Locate, Way } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';

/** Addresses of one target that are remembered; the one not seen longest is forgotten. */
const MAX_ADDRESSES = 32;
/** As long as a target is not reached at an address any more, it stays the target's. */
const ADDRESS_MS = 24 * 3_600_000;

/** One of the provider's servers. */
export class Target {
  readonly uri: string;
  isUp = true;
  /** Whether it was asked yet, and is asked at all. */
  isChecked = false;
  /** In words, when it is down. */
  why = '';
  /** Failures one after the other. */
  failures = 0;
  readonly #addresses = new Map<string, { at: SocketAddress; seenMs: number }>();
  readonly #literal: SocketAddress | undefined;

  constructor(uri: string) {
    this.uri = uri;
    const parsed = parseUri(uri);
    if (parsed && ipFamily(parsed.host) !== undefined)
      this.#literal = { address: parsed.host, port: parsed.port ?? (isSecure(uri) ? 5061 : 5060) };
  }

  /** It was reached there: what comes from there is the provider's. */
  reached({ remote }: Flow, nowMs: number): void {
    const key = socketKey(remote);
    this.#addresses.delete(key);
    this.#addresses.set(key, { at: remote, seenMs: nowMs });
    if (this.#addresses.size > MAX_ADDRESSES) this.#addresses.delete(this.#addresses.keys().next().value!);
  }

  /**
   * Whether a request from that source is the target's. Providers send from other ports than they listen on, so the address
   * decides; but on loopback every program has the same address, so there it has to be the port too.
   */
  isSource({ remote }: Pick<Flow, 'remote'>, nowMs: number): boolean {
    const address = unmapped(remote.address);
    const is = (at: SocketAddress) =>
      unmapped(at.address) === address && (!isLoopback(address) || at.port === remote.port);
    if (this.#literal && is(this.#literal)) return true;
    for (const { at, seenMs } of this.#addresses.values()) if (nowMs - seenMs < ADDRESS_MS && is(at)) return true;
    return false;
  }
}

export type Found = { readonly target: Target; readonly way: Way } | { readonly error: string };

/**
 * The ways to some targets, one after the other (RFC 3263 4.3): all addresses of the first, then those of the next.
 * `then` is called again after each `next` of the way it was given, at last with the error of the last target.
 */
export function walk(
  by: { readonly locate: Locate; readonly targets: readonly Target[] },
  nowMs: number,
  then: (found: Found, nowMs: number) => void,
): void {
  const { locate, targets } = by;
  const from = (i: number, why: string, now: number): void => {
    const target = targets[i];
    if (!target) {
      then({ error: why }, now);
      return;
    }
    locate(target.uri, now, (result, later) => {
      if ('error' in result) {
        from(i + 1, `${target.uri}: ${result.error}`, later);
        return;
      }
      target.reached(result.flow, later);
      then({ target, way: result }, later);
    });
  };
  from(0, 'there is no target', nowMs);
}

/** In the order of preference; those that are down at the end. */
export function inOrder(targets: readonly Target[]): readonly Target[] {
  return [...targets.filter((t) => t.isUp), ...targets.filter((t) => !t.isUp)];
}

function isSecure(uri: string): boolean {
  return /^sips:/i.test(uri) || /;transport=tls/i.test(uri);
}
