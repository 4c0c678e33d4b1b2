import { setTimeout as sleep } from 'node:timers/promises';
import type { DirectionStatistics, LegStatistics } from '@offhook/media-relay';
import type { RelayedCall } from '@offhook/signaling';
import type { Values } from '../arguments.ts';
import { ask, call, type FoundPart, foundParts, NotRunning } from '../running.ts';
import { idsAt, type LedElsewhere, ledElsewhere } from './led-elsewhere.ts';

const EACH_MS = 1000;
/** As many as a relay tells of at once. */
const AT_ONCE = 100;

const out = (line: string) => process.stdout.write(`${line}\n`);

/** A call as signalling describes it, with how each of its phones sounds where a relay of ours knows. */
export interface LiveCall {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly state: string;
  readonly media: string;
  readonly note?: string;
  readonly startedSecondsAgo: number;
  readonly answeredSecondsAgo?: number;
  readonly phones?: readonly (LegStatistics & { readonly party: string })[];
}

/** The calls of the moment, once or each second. A relay that says nothing of its own is named on standard error. */
export async function calls(data: string, { watch = false, json = false }: Values): Promise<number> {
  for (;;) {
    const { live, problems } = await allCalls(data);
    for (const words of problems) process.stderr.write(`${words}\n`);
    if (json) out(watch ? JSON.stringify({ at: Date.now(), calls: live }) : JSON.stringify(live, undefined, 2));
    else for (const line of inWords(live)) out(line);
    if (!watch) return 0;
    if (!json) out('');
    await sleep(EACH_MS);
  }
}

/** Those of signalling, and those that other programs lead at our relays. */
async function allCalls(data: string): Promise<{ live: (LiveCall | LedElsewhere)[]; problems: string[] }> {
  const parts = await foundParts(data);
  const relays = parts.filter(({ name, status }) => name.startsWith('media-relay-') && status).map(({ name }) => name);
  const ids = await idsAt(data, relays);
  const own = await liveCalls(data).catch((error: unknown) => {
    // `offhook relay` has no signalling
    if (!(error instanceof NotRunning) || relays.length === 0 || hasSignaling(parts)) throw error;
    return { live: [], problems: [] };
  });
  const led = await ledElsewhere(data, ids, new Set(own.live.map(({ id }) => id)));
  return { live: [...own.live, ...led.live], problems: [...own.problems, ...led.problems] };
}

function hasSignaling(parts: readonly FoundPart[]): boolean {
  return parts.some(({ name }) => name === 'signaling');
}

async function liveCalls(data: string): Promise<{ live: LiveCall[]; problems: string[] }> {
  const all = (await ask(data, 'signaling', 'calls')) as LiveCall[];
  const relayed = new Map(
    ((await ask(data, 'signaling', 'relayed')) as RelayedCall[]).map((one) => [one.id, one] as const),
  );
  const asked = [...relayed.values()].map((one) => one.relayed);
  const legs = new Map<string, readonly LegStatistics[]>();
  const problems: string[] = [];
  for (const { name, status } of asked.length === 0 ? [] : await foundParts(data)) {
    if (!name.startsWith('media-relay-')) continue;
    try {
      if (status === undefined) throw new Error('it does not answer');
      for (const one of await statistics(data, name, asked)) legs.set(one.id, one.legs);
    } catch (error) {
      // It may have ended since it was found.
      problems.push(`${name} does not say how its calls sound: ${(error as Error).message}`);
    }
  }
  const live = all.map((one) => {
    const at = relayed.get(one.id);
    const phones = at?.tags.flatMap(({ tag, party }) => {
      const leg = legs.get(at.relayed)?.find((found) => found.tag === tag);
      return leg ? [{ ...leg, party }] : [];
    });
    return { ...one, phones };
  });
  return { live, problems };
}

/** What one relay knows of these calls. */
async function statistics(data: string, relay: string, ids: readonly string[]) {
  const told: { id: string; legs: LegStatistics[] }[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE)
    told.push(...((await call(data, relay, 'statistics', { calls: ids.slice(at, at + AT_ONCE) })) as typeof told));
  return told;
}

/** Lines for a person. */
export function inWords(live: readonly (LiveCall | LedElsewhere)[]): string[] {
  if (live.length === 0) return ['nobody is calling'];
  return live.flatMap((one) => ('ledBy' in one ? ledElsewhereInWords(one) : ownInWords(one)));
}

/** Call-ids and tags are whatever a phone has made of them. */
function ledElsewhereInWords({ id, relay, phones }: LedElsewhere): string[] {
  const shown = (text: string) => text.replace(/\p{Cc}/gu, '?');
  return [
    `${shown(id)}  led by another program, at ${relay}`,
    ...phones.flatMap((leg) => phoneInWords({ ...leg, party: shown(leg.tag ?? '') })),
  ];
}

function ownInWords({
  from,
  to,
  state,
  media,
  note,
  startedSecondsAgo,
  answeredSecondsAgo,
  phones = [],
}: LiveCall): string[] {
  const how =
    answeredSecondsAgo === undefined ? `${state} for ${startedSecondsAgo} s` : `talking for ${answeredSecondsAgo} s`;
  return [
    `${from} → ${to}  ${how}${media === 'opaque' ? ', encrypted from end to end' : ''}`,
    ...(note === undefined ? [] : [`  ${note}`]),
    ...phones.flatMap(phoneInWords),
  ];
}

function phoneInWords({
  party,
  packetsIn,
  packetsOut,
  roundTripMs,
  media,
}: LegStatistics & { party: string }): string[] {
  const trip = roundTripMs === undefined ? '' : `, round trip ${Math.round(roundTripMs)} ms`;
  return [
    `  ${party.padEnd(14)} ${packetsIn} packets in, ${packetsOut} out${trip}`,
    ...media.flatMap(({ type, received, sent }) => [
      ...(received ? [`    from it: ${directionInWords(type, received)}`] : []),
      ...(sent ? [`    to it:   ${directionInWords(type, sent)}`] : []),
    ]),
  ];
}

function directionInWords(type: string, { codec, lossPercent, jitterMs, mos }: DirectionStatistics): string {
  const score = mos === undefined ? '' : `, MOS ${mos.toFixed(1)}`;
  return `${type}${codec === undefined ? '' : ` ${codec}`}, ${lossPercent.toFixed(1)} % lost, jitter ${jitterMs.toFixed(1)} ms${score}`;
}
