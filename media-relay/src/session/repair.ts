import { attributes, readU16 } from '@offhook/core';
import { VideoRepair } from '../recovery/index.ts';
import type { Call } from './call.ts';
import type { MediaHost } from './host.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg } from './leg.ts';
import { saysFeedback } from './rtcp-fb.ts';
import { rtxTowards } from './rtx.ts';
import { isLayered } from './simulcast.ts';

/**
 * Tells the repair of pictures of a leg's transports what both descriptions say; called when either has changed. NACKs end here
 * where a browser speaks them and the far side is another one or has none itself; those of a phone that names them pass.
 */
export function configureRepair(host: MediaHost, call: Call, leg: Leg): void {
  const far = call.other(leg);
  for (const transport of leg.transports()) {
    const section = leg.sections.find((s) => s.transport === transport && s.active && s.media === 'video');
    const own = section && leg.remote?.media[section.index];
    const others = section && far.remote?.media[section.index];
    if (call.opaque || call.echo || !transport.reports || !own || !others) {
      transport.repair?.close();
      transport.repair = undefined;
      continue;
    }
    transport.repair ??= new VideoRepair(leg.rtxSequences);
    const says = (feedback: string) => saysFeedback(own, feedback);
    transport.repair.onKeyFrameWish = () => call.onKeyFrameWish?.(call, leg);
    const isFarLayered = isLayered(far.sections[section.index]);
    // Numbers of layers aren't those of the one stream.
    const endsHere = isFarLayered || isLayered(section) || speaksWebRtc(far.kind) || !saysFeedback(others, 'nack');
    const random = readU16(host.crypto.randomBytes(2), 0);
    transport.repair.configure(
      {
        payloadTypes: others.formats.map(Number),
        nack: (isFarLayered || speaksWebRtc(leg.kind)) && endsHere && says('nack'),
        // A phone that says nothing is sent PLI: most answer it.
        keyFrames: { pli: says('nack pli') || !says('ccm fir'), fir: says('ccm fir'), info: false },
        isMute: !speaksWebRtc(leg.kind) && attributes(own, 'rtcp-fb').length === 0,
        rtx: rtxTowards(leg, far, section),
        inward: isLayered(section) ? section.simulcast!.stream.inward : undefined,
      },
      random,
    );
  }
}
