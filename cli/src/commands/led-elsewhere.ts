import type { LegStatistics } from '@offhook/media-relay';
import { call } from '../running.ts';

/** As many as a relay tells the statistics of at once. */
const AT_ONCE = 100;

/** A call that Kamailio or another controller leads through a relay of ours: signalling knows nothing of it. */
export interface LedElsewhere {
  /** The controller's call-id. */
  readonly id: string;
  readonly ledBy: 'another program';
  /** The media worker that has it. */
  readonly relay: string;
  readonly phones: readonly LegStatistics[];
}

/** The call-ids that each relay has, by its name. */
export async function idsAt(data: string, relays: readonly string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const relay of relays) {
    const ids: string[] = [];
    found.set(relay, ids);
    try {
      for (;;) {
        const more = (await call(data, relay, 'calls', { from: ids.length })) as string[];
        ids.push(...more);
        if (more.length === 0) break;
      }
    } catch {
      // it has just ended: of its calls nothing can be told, which `liveCalls` says in words
    }
  }
  return found;
}

/**
 * Those of the relays' calls that are none of signalling's, whose ids it makes of its own calls' with an ending. `ids` has to
 * be older than `own`: else a call that has just begun would look like somebody else's. What has ended meanwhile is left out.
 */
export async function ledElsewhere(
  data: string,
  ids: ReadonlyMap<string, readonly string[]>,
  own: ReadonlySet<string>,
): Promise<{ readonly live: LedElsewhere[]; readonly problems: string[] }> {
  const live: LedElsewhere[] = [];
  const problems: string[] = [];
  for (const [relay, all] of ids) {
    const others = all.filter((id) => !own.has(id) && !own.has(id.slice(0, Math.max(0, id.lastIndexOf('-')))));
    try {
      for (let i = 0; i < others.length; i += AT_ONCE) {
        const calls = others.slice(i, i + AT_ONCE);
        const told = (await call(data, relay, 'statistics', { calls })) as { id: string; legs: LegStatistics[] }[];
        for (const { id, legs } of told) live.push({ id, ledBy: 'another program', relay, phones: legs });
      }
    } catch (error) {
      problems.push(`${relay} does not say which calls it has: ${(error as Error).message}`); // it may just have ended
    }
  }
  return { live, problems };
}
