import type { FlowSnapshot } from '../call/index.ts';
import { Dialog } from '../dialog/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { EventPackage } from './event-package.ts';
import type { Subscription } from './subscription.ts';

/** CSeq numbers and documents that may have been used since the snapshot was written: both only go upwards. */
const SLACK = 1000;

/** All that a subscription needs to go on in another process: JSON, times in monotonic milliseconds. */
export interface SubscriptionSnapshot {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  readonly localParty: string;
  readonly remoteParty: string;
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  readonly localCSeq: number;
  readonly remoteCSeq: number;
  readonly watcher: string;
  readonly instance?: string;
  readonly event: string;
  readonly eventId?: string;
  readonly resource: string;
  readonly version: number;
  readonly expiresAtMs: number;
  readonly flow: FlowSnapshot;
}

export function snapshotOf(subscription: Subscription): SubscriptionSnapshot {
  const { dialog, of, watcher, instance, eventId, resource, version, expiresAtMs } = subscription;
  const { callId, localTag, remoteTag, localParty, remoteParty, remoteTarget, routeSet, localCSeq, remoteCSeq } =
    dialog;
  const { transport, local, remote, account } = dialog.flow;
  const own = { watcher, instance, event: of.name, eventId, resource, version, expiresAtMs };
  const inDialog = { callId, localTag, remoteTag, localParty, remoteParty, remoteTarget, routeSet };
  return { ...own, ...inDialog, localCSeq, remoteCSeq, flow: { transport, local, remote, account } };
}

/** The subscription of a snapshot; its phone is reached over `flow`, once it is there again. */
export function restored(
  snapshot: SubscriptionSnapshot,
  how: {
    readonly of: EventPackage;
    readonly flow: Flow;
    readonly isLost: boolean;
    readonly contact: (flow: Flow) => string;
  },
): Subscription {
  const { routeSet, localCSeq, remoteCSeq, watcher, instance, eventId, resource, version, expiresAtMs } = snapshot;
  const { of, flow, isLost, contact } = how;
  const dialog = new Dialog({ ...snapshot, flow, contact });
  dialog.routeSet = routeSet;
  dialog.localCSeq = localCSeq + SLACK;
  dialog.remoteCSeq = remoteCSeq;
  const own = { dialog, watcher, instance, of, resource, eventId, expiresAtMs, version: version + SLACK };
  return { ...own, isTelling: false, isStale: true, isLost };
}
