import { closeLeg, secure, wire } from './build.ts';
import type { Call } from './call.ts';
import type { MediaHost } from './host.ts';
import { sameKind } from './kind.ts';
import { Leg } from './leg.ts';

/**
 * Moves a leg with its ports, ICE, DTLS and SRTP from one call into another, where it takes the place of the leg that
 * stands there for it: its peer goes on as it is, only its other side changes (transfer, pick-up). The words why not, or
 * undefined when it is done. The next offer or answer in the new call describes it to its peer.
 */
export function connectLeg(host: MediaHost, tag: string, from: Call, to: Call): string | undefined {
  const leg = from.leg(tag);
  if (!leg) return 'from-tag is not one of the call that it is to be taken from';
  if (!leg.remote) return 'the peer has not described itself yet';
  const at = to.legs.findIndex((l) => l.tag === tag);
  const place = at >= 0 ? at : to.legs.findIndex((l) => l.tag === undefined);
  const standIn = to.legs[place];
  if (!standIn) return 'nobody stands for that peer in the call that it is to be taken to';
  if (standIn.sections.length > 0) {
    if (!sameKind(standIn.kind, leg.kind)) return 'the peer speaks something else there';
    if (standIn.sections.length !== leg.sections.length) return 'the peer has another number of media sections there';
  }
  closeLeg(host, standIn);
  to.legs[place] = leg;
  if (to.offerer === standIn) to.offerer = leg;
  leave(from, leg);
  for (const transport of leg.transports()) {
    transport.opaquePeer = undefined;
    transport.ssrcMask = 0;
    transport.ssrcs.clear();
    transport.lastSsrc = undefined;
    transport.payloadTypes.fill(-1);
    transport.splice?.arm();
    // On the opaque path keys are between the peers; everywhere else they are ours.
    if (to.opaque) {
      transport.dtls?.close();
      transport.dtls = undefined;
      transport.recovery = undefined;
      transport.repair = undefined;
      transport.rates = undefined;
      transport.reports = undefined;
      transport.dropKeys();
      transport.secured = false;
      host.rearm(transport);
    } else if (from.opaque) secure(host, leg, transport);
  }
  leg.holds = false;
  wire(host, to);
  return undefined;
}

/** An empty place stays behind: the leg may come back, and whoever is left there hears nobody. */
function leave(call: Call, leg: Leg): void {
  const empty = new Leg(undefined, leg.kind);
  call.legs[call.legs.indexOf(leg)] = empty;
  if (call.offerer === leg) call.offerer = empty;
  for (const other of call.legs) {
    for (const section of other.sections) section.peer = undefined;
    for (const transport of other.transports()) {
      transport.opaquePeer = undefined;
      transport.rates?.connect(undefined);
      transport.simulcast = undefined; // it counts on whom it spoke to
    }
  }
}
