import { series } from '@offhook/core';
import { registrationFigures } from '../registrar/index.ts';
import type { Trunk } from './trunk.ts';

/** A trunk as people and programs are told of it. */
export interface TrunkStatus {
  readonly trunk: string;
  readonly isUp: boolean;
  /** Why not, in words; empty when it is up. */
  readonly why: string;
  readonly mode: 'register' | 'address';
  /** Seconds until the registration runs out, unless it is renewed. */
  readonly registeredForS?: number;
  readonly targets: readonly {
    readonly uri: string;
    /** Counts as up until it was asked. */
    readonly isUp: boolean;
    readonly isChecked: boolean;
    readonly why: string;
  }[];
  readonly calls: number;
  readonly maxCalls: number;
}

export function statusOf(trunk: Trunk, nowMs: number): TrunkStatus {
  const until = trunk.registration?.registeredUntilMs;
  return {
    trunk: trunk.name,
    isUp: trunk.isUp,
    why: whyDown(trunk),
    mode: trunk.registration ? 'register' : 'address',
    ...(until === undefined ? {} : { registeredForS: Math.max(0, Math.round((until - nowMs) / 1000)) }),
    targets: trunk.targets.map(({ uri, isUp, isChecked, why }) => ({ uri, isUp, isChecked, why })),
    calls: trunk.lines.used,
    maxCalls: trunk.lines.limits.maxCalls,
  };
}

function whyDown(trunk: Trunk): string {
  if (trunk.isUp) return '';
  const { registration } = trunk;
  if (registration && !trunk.isRegistered) return `not registered: ${registration.words || 'no answer yet'}`;
  return trunk.targets.map(({ uri, why }) => `${uri} is down: ${why}`).join('; ');
}

/** Figures by their Prometheus names. */
export function trunkFigures(trunks: Iterable<Trunk>): Record<string, number> {
  const out: Record<string, number> = {};
  for (const { name: trunk, isUp, isRegistered, registration, lines } of trunks) {
    out[series('sip_trunk_up', { trunk })] = isUp ? 1 : 0;
    if (registration) {
      out[series('sip_trunk_registered', { trunk })] = isRegistered ? 1 : 0;
      const { figures } = registration;
      Object.assign(
        out,
        registrationFigures(figures, 'sip_trunk_registration', { trunk }),
        figures.delay.figures('sip_trunk_registration_request_delay_seconds', { trunk }),
      );
    }
    out[series('sip_trunk_calls', { trunk })] = lines.used;
    for (const [direction, count] of Object.entries(lines.total))
      out[series('sip_trunk_calls_total', { trunk, direction })] = count;
    for (const [cause, count] of Object.entries(lines.refused))
      out[series('sip_trunk_refused_total', { trunk, cause })] = count;
  }
  return out;
}
