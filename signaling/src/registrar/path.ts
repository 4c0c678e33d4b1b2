import { parseNameAddr, SIP_LIMITS, type SipMessage } from '@offhook/core';

/** The Path of a REGISTER (RFC 3327), topmost proxy first, or what is wrong with it. */
export function pathOf(message: SipMessage): { readonly path: readonly string[] } | { readonly problem: string } {
  const path = message.values('path');
  if (path.length > SIP_LIMITS.routes) return { problem: `more than ${SIP_LIMITS.routes} Path values` };
  for (const value of path) {
    const proxy = value.length > SIP_LIMITS.uri ? undefined : parseNameAddr(value);
    if (!proxy?.uri.isSip || proxy.uri.headers !== undefined) return { problem: 'Malformed Path' };
    // "Path URIs … identify … with the lr parameter": we route loosely only, as everybody does since RFC 3261.
    if (!proxy.uri.params.has('lr')) return { problem: 'A Path without lr' };
  }
  return { path };
}

/** The next hop is asked for by name in the path's order; that of an edge which knows outbound says `ob` (RFC 5626 5.1). */
export function firstHopKnowsOutbound(path: readonly string[]): boolean {
  // Each proxy puts its value on top: the phone's own first hop is the last one.
  return parseNameAddr(path.at(-1) ?? '')?.uri.params.has('ob') ?? false;
}

/**
 * The route set of a dialog whose phone has registered anew behind an edge proxy: the routes of the old edge, which were
 * its Path or its Record-Route (two of them where it changes the transport), give way to the new Path; what lies between
 * the edge and the phone stays. Undefined when nothing changes.
 */
export function rerouted(
  routeSet: readonly string[],
  path: readonly string[],
  before: readonly string[] | undefined,
): readonly string[] | undefined {
  if (before ? path.join() === before.join() : path.length === 0) return undefined;
  const edges = new Set([...path, ...(before ?? []), ...routeSet.slice(0, 1)].map(hostOf));
  const rest = routeSet.findIndex((route) => !edges.has(hostOf(route)));
  return [...path, ...(rest < 0 ? [] : routeSet.slice(rest))];
}

function hostOf(route: string): string {
  return parseNameAddr(route)?.uri.host ?? '';
}
