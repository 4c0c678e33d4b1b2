import { RtcpWriter } from '@offhook/core';
import { type Transport, UNLIMITED } from '../forward/transport.ts';
import type { RateCounters } from './rate-feedback.ts';
import { PacketUse } from './send-history.ts';

/** One RTCP datagram of ours, and room for SRTP's trailer behind it. */
const RTCP_BYTES = 1200;
const TRAILER_BYTES = 64;
/** Feedback about packets of one turn is no more than that many datagrams. */
const MOST_DATAGRAMS = 8;

const buffer = new Uint8Array(2048);

/** Sends what a transport's rates have to say when it is due: feedback, REMB or TMMBR, and padding of a probe. */
export function sendRates(t: Transport, counters: RateCounters, nowMs: number): void {
  const { rates } = t;
  if (rates === undefined) return;
  const open = isOpen(t);
  rates.handleTimeout(nowMs, open);
  if (!open) return;
  sendRtcp(t, nowMs);
  const wanted = rates.takePadding();
  if (wanted === 0 || t.repair === undefined || t.port === undefined || t.remote === undefined) return;
  const length = t.repair.pad(wanted, buffer);
  if (length === 0) return;
  const out = t.tx!.protect(buffer, 0, rates.sendOwn(PacketUse.padding, buffer, length, nowMs));
  if (out < 0 || !t.port.send(buffer.subarray(0, out), t.remote)) return;
  t.packetsOut++;
  t.bytesOut += out;
  counters.padding++;
}

function sendRtcp(t: Transport, nowMs: number): void {
  for (let sent = 0; sent < MOST_DATAGRAMS; sent++) {
    // RFC 3550 6.1: a compound begins with a report.
    const head = new RtcpWriter(buffer).receiverReport(t.reports!.ssrc).length;
    const length = t.rates!.write(buffer.subarray(0, RTCP_BYTES), head, nowMs);
    if (length === head) return;
    const out = t.secured ? t.tx!.protectRtcp(buffer.subarray(0, RTCP_BYTES + TRAILER_BYTES), 0, length) : length;
    if (out < 0 || !t.rtcpPort!.send(buffer.subarray(0, out), t.rtcpRemote!)) return;
    t.rtcpOut++;
    t.packetsOut++;
    t.bytesOut += out;
  }
}

/** Nothing of ours goes where nobody has answered. */
function isOpen(t: Transport): boolean {
  if (t.reports === undefined || t.rtcpPort === undefined || t.rtcpRemote === undefined) return false;
  if (t.secured && t.tx === undefined) return false;
  return (t.rtcpPort === t.port ? t.sendBudget : t.rtcpBudget) === UNLIMITED;
}
