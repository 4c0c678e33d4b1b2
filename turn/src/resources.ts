import { openFilesLimit } from '@offhook/core/node';
import type { TurnConfig } from './config.ts';
import { DEFAULT_LIMITS, type TurnLimits } from './limits.ts';

/** Descriptors that a process needs beside relay sockets and connections. */
const OTHER_DESCRIPTORS = 100;

/** Connections, which anybody can make, take no more than half of the descriptors; the other half is for relay sockets. */
export function withinDescriptors(limits: Partial<TurnLimits> | undefined, files = openFilesLimit()): TurnLimits {
  const all = { ...DEFAULT_LIMITS, ...limits };
  if (files === undefined) return all;
  const half = Math.max(Math.floor((files - OTHER_DESCRIPTORS) / 2), 1);
  return { ...all, connections: Math.min(all.connections, half) };
}

/** What of the limits this process or its ports can't hold, in words. */
export function resourceWarnings({ relay, limits }: TurnConfig, files = openFilesLimit()): string[] {
  const words: string[] = [];
  const { allocations, connections } = { ...DEFAULT_LIMITS, ...limits };
  const needed = allocations + connections + OTHER_DESCRIPTORS;
  if (files !== undefined && files < needed) {
    const held = withinDescriptors(limits, files).connections;
    words.push(
      `${needed} descriptors may be needed and ${files} are allowed (ulimit -n): ${
        held < connections ? `no more than ${held} connections are taken, and ` : ''
      }allocations are refused when they run out`,
    );
  }
  const ports = relay.portMax - relay.portMin + 1;
  const places = relay.addresses.length;
  if (relay.portMin > 0 && ports * places < allocations)
    words.push(
      `turn.relayPorts are ${ports} ports${places > 1 ? ` on each of ${places} addresses` : ''}, fewer than turn.limits.allocations of ${allocations}`,
    );
  return words;
}
