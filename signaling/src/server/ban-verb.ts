import { ipFamily, networkOf } from '@offhook/core';
import { type AdminHandler, monotonicMs } from '@offhook/core/node';
import type { Ban } from '../auth/index.ts';
import type { SipCore } from './core.ts';

/** A ban by hand lasts a day unless another time is given, 30 days at most. */
const MINUTES = 1440;
const MOST_MINUTES = 43_200;

/** A ban as the admin socket tells it. */
export interface BanStatus {
  /** An address, or the /64 of an IPv6 one. */
  readonly network: string;
  readonly why: Ban['why'];
  readonly words: string;
  readonly remainingS: number;
  /** How many there have been, this one included. */
  readonly times: number;
  /** It holds for datagrams only. */
  readonly udpOnly: boolean;
  /** Datagrams and connections that were refused for it. */
  readonly dropped: number;
}

/** The admin verb `bans`: list, lift, add. */
export function banVerb(core: SipCore, handle: (input: () => void) => void): AdminHandler {
  return ({ op = 'list', address, minutes = MINUTES }) => {
    const nowMs = monotonicMs();
    const { bans } = core;
    if (!bans) throw new Error('nobody is banned here: sip.bans is false');
    switch (op) {
      case 'list':
        return bans.list(nowMs).map((ban) => describe(ban, nowMs));
      case 'lift': {
        const whom = addressOf(address);
        if (!bans.lift(whom, nowMs)) throw new Error(`${networkOf(whom)} is not banned`);
        return { lifted: networkOf(whom) };
      }
      case 'add': {
        const whom = addressOf(address);
        if (typeof minutes !== 'number' || !(minutes >= 1 && minutes <= MOST_MINUTES))
          throw new Error(`minutes: a number from 1 to ${MOST_MINUTES}`);
        let made: Ban | string = 'it could not be done';
        handle(() => {
          made = core.ban(whom, minutes * 60_000, nowMs);
        });
        return describe(orThrow(made), nowMs);
      }
      default:
        throw new Error('op is one of list, lift, add');
    }
  };
}

/** An IP address; a network is named as it is listed, `2001:db8::/64`. */
function addressOf(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new Error('the address is missing');
  const address = value.replace(/\/64$/, '');
  if (ipFamily(address) === undefined) throw new Error(`'${value.slice(0, 60)}' is no IP address`);
  return address;
}

function orThrow(made: Ban | string): Ban {
  if (typeof made === 'string') throw new Error(made);
  return made;
}

function describe(ban: Ban, nowMs: number): BanStatus {
  const { network, why, words, times, isForgeable, dropped, untilMs } = ban;
  return { network, why, words, remainingS: Math.ceil((untilMs - nowMs) / 1000), times, udpOnly: isForgeable, dropped };
}
