import { attribute, attributes, base64, type Crypto, type RtpMap, readU32, rtpMaps, seededRandom } from '@offhook/core';
import { FEEDBACK_INTERVAL_MS, HopReports, PLAIN_INTERVAL_MS } from '../rtcp/index.ts';
import type { Leg } from './leg.ts';

/** RTCP towards one peer. */
export function openReports(crypto: Crypto): HopReports {
  const random = crypto.randomBytes(20);
  return new HopReports({
    ssrc: readU32(random, 0),
    cname: base64(random.subarray(4, 16)), // RFC 7022 4.2: 96 random bits for the session
    random: seededRandom(readU32(random, 16)),
  });
}

/** Tells the RTCP of a leg's transports what both descriptions say; called when either has changed. */
export function configureReports(leg: Leg, far: Leg): void {
  for (const transport of leg.transports()) {
    if (!transport.reports) continue;
    const formats = new Map<number, RtpMap>();
    const own = transport.sections.flatMap(({ index }) => leg.remote?.media[index] ?? []);
    const others = transport.sections.flatMap(({ index }) => far.remote?.media[index] ?? []);
    // RFC 3264 5.1: a payload type means what the description of its receiver says, and that is the far peer's.
    for (const map of [...own, ...others].flatMap(rtpMaps)) formats.set(map.payloadType, map);
    // What is in RED (RFC 2198 5: a=fmtp lists it) is the sound that counts.
    for (const map of [...formats.values()]) {
      const sound = map.encoding.toLowerCase() === 'red' ? formats.get(Number(map.fmtp?.split('/')[0])) : undefined;
      if (sound) formats.set(map.payloadType, sound);
    }
    const isReduced = (media: typeof own) =>
      media.length > 0 && media.every((m) => attribute(m, 'rtcp-rsize') !== undefined);
    const holders = leg.remote ? [leg.remote, ...own] : own; // RFC 3611 5.1: of the session or of a section
    const wanted = holders.flatMap((holder) => attributes(holder, 'rtcp-xr')).flatMap((value) => value.split(/[ =:]/));
    transport.reports.configure({
      formats,
      intervalMs: leg.kind.feedback ? FEEDBACK_INTERVAL_MS : PLAIN_INTERVAL_MS,
      reducedSize: leg.kind.feedback && isReduced(own) && isReduced(others),
      extended: new Set(wanted),
    });
  }
}
