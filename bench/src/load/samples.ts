import type { Traffic } from './loads.ts';

/** One load on one server in one round. */
export interface Sample extends Traffic {
  readonly round: number;
  readonly server: string;
  readonly load: string;
  /** Of the server, all threads, per packet that arrived. */
  readonly cpuUs: number;
  /** Share of its core that the server had. */
  readonly busyPercent: number;
}

/** The generator with itself, from client to peer and back without a server. */
export interface Direct extends Traffic {
  readonly round: number;
  readonly load: string;
}

/** When others have more of the server's core than this, its figures are worth less: caches are theirs, and they are in the way. */
export const OTHERS_PERCENT = 10;
/** More late packets than this, and the generator did not keep the rate. */
export const LATE_PERCENT = 1;

export function samplesOf(samples: readonly Sample[], load: string, server: string): Sample[] {
  return samples.filter((sample) => sample.load === load && sample.server === server);
}

/** One server's figure / another's of the same round, round by round. */
export function ratios(
  samples: readonly Sample[],
  load: string,
  { own, peer }: { readonly own: string; readonly peer: string },
  figure: (sample: Sample) => number,
): number[] {
  const peers = samplesOf(samples, load, peer);
  return samplesOf(samples, load, own).flatMap((sample) => {
    const other = peers.find(({ round }) => round === sample.round);
    return other ? [figure(sample) / figure(other)] : [];
  });
}

/** Through a server less what the generator takes for itself in the same round, ms. */
export function addedMs(
  { samples, direct }: { readonly samples: readonly Sample[]; readonly direct: readonly Direct[] },
  load: string,
  server: string,
  figure: (traffic: Traffic) => number,
): number[] {
  return samplesOf(samples, load, server).flatMap((own) => {
    const base = direct.find((one) => one.round === own.round && one.load === load);
    return base ? [(figure(own) - figure(base)) / 1000] : [];
  });
}

/** How much others were in the way, on either core. */
export function disturbance({ othersPercent, stealPercent, latePercent }: Sample): number {
  return othersPercent + stealPercent + latePercent;
}

export function isDisturbed({ othersPercent, stealPercent, latePercent }: Sample): boolean {
  return othersPercent + stealPercent > OTHERS_PERCENT || latePercent > LATE_PERCENT;
}

export function inWords(s: Sample): string {
  const ms = (us: number) => (us / 1000).toFixed(3);
  const trouble = [
    s.lost > 0 ? `, ${s.lost} lost` : '',
    s.othersPercent + s.stealPercent > OTHERS_PERCENT ? `, others ${s.othersPercent} % of the core` : '',
    s.latePercent > LATE_PERCENT ? `, ${s.latePercent} % sent late` : '',
  ].join('');
  const use = `busy ${s.busyPercent} %, generator idle ${s.idlePercent} %`;
  const latency = `p50 ${ms(s.p50Us)} ms, p99 ${ms(s.p99Us)} ms`;
  return `${s.server}: ${s.load}: ${s.cpuUs.toFixed(2)} µs, ${s.deliveredPerS}/s, ${latency}, ${use}${trouble}`;
}
