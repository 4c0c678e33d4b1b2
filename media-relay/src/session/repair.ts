import { attributes, type MediaDescription } from '@offhook/core';
import { VideoRepair } from '../recovery/index.ts';
import type { Call } from './call.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg } from './leg.ts';

/**
 * Tells the repair of pictures of a leg's transports what both descriptions say; called when either has changed. NACKs end here
 * where a browser speaks them and the far side has no feedback at all; between two that both have it, theirs pass.
 */
export function configureRepair(call: Call, leg: Leg): void {
  const far = call.other(leg);
  for (const transport of leg.transports()) {
    const section = leg.sections.find((s) => s.transport === transport && s.active && s.media === 'video');
    const own = section && leg.remote?.media[section.index];
    const others = section && far.remote?.media[section.index];
    if (call.opaque || call.echo || !transport.reports || !own || !others) {
      if (transport.reports && transport.repair) transport.reports.feedback = undefined;
      transport.repair = undefined;
      continue;
    }
    transport.repair ??= new VideoRepair();
    transport.reports.feedback = transport.repair;
    const says = (feedback: string) => saysFeedback(own, feedback);
    transport.repair.configure({
      payloadTypes: others.formats.map(Number),
      nack: speaksWebRtc(leg.kind) && attributes(others, 'rtcp-fb').length === 0 && says('nack'),
      // A phone that says nothing is sent PLI: most answer it.
      keyFrames: { pli: says('nack pli') || !says('ccm fir'), fir: says('ccm fir'), info: false },
    });
  }
}

function saysFeedback(media: MediaDescription, feedback: string): boolean {
  return attributes(media, 'rtcp-fb').some((value) => value.slice(value.indexOf(' ') + 1) === feedback);
}
