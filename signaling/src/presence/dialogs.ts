import { xmlText } from '@offhook/core';
import type { CallSummary } from '../call/index.ts';
import { XML } from './xml.ts';

export const DIALOG_INFO = 'application/dialog-info+xml';

/** A call as one of its users has it (RFC 4235 3.7). */
export interface UserDialog {
  readonly call: string;
  readonly direction: 'initiator' | 'recipient';
  readonly state: 'trying' | 'proceeding' | 'early' | 'confirmed';
  /** Who the other side is, where it may be known: a user of ours or a number. */
  readonly other?: string;
}

/** Which calls each user is in: what lamps show (busy lamp field). */
export class Dialogs {
  readonly #byUser = new Map<string, Map<string, UserDialog>>();
  readonly #users = new Map<string, readonly string[]>();

  of(user: string): readonly UserDialog[] {
    return [...(this.#byUser.get(user)?.values() ?? [])];
  }

  /** Whether that user talks to somebody; ringing does not count. */
  isTalking(user: string): boolean {
    for (const { state } of this.#byUser.get(user)?.values() ?? []) if (state === 'confirmed') return true;
    return false;
  }

  /** Takes note of a call; the users for whom something has changed. */
  handle(call: CallSummary): ReadonlySet<string> {
    const changed = new Set<string>();
    const now = call.state === 'ended' ? [] : [...new Set(call.legs.map(({ user }) => user))];
    for (const user of this.#users.get(call.id) ?? []) {
      if (now.includes(user)) continue;
      this.#forget(user, call.id);
      changed.add(user);
    }
    for (const user of now) {
      const dialog = dialogOf(call, user);
      const mine = this.#byUser.get(user) ?? new Map<string, UserDialog>();
      const before = mine.get(call.id);
      if (before?.state === dialog.state && before.other === dialog.other) continue;
      this.#byUser.set(user, mine.set(call.id, dialog));
      changed.add(user);
    }
    if (now.length > 0) this.#users.set(call.id, now);
    else this.#users.delete(call.id);
    return changed;
  }

  get size(): number {
    return this.#users.size;
  }

  #forget(user: string, call: string): void {
    const mine = this.#byUser.get(user);
    mine?.delete(call);
    if (mine?.size === 0) this.#byUser.delete(user);
  }
}

function dialogOf(call: CallSummary, user: string): UserDialog {
  const isCaller = call.legs[0]?.user === user;
  const other = isCaller ? (call.answeredBy ?? call.to) : call.isPrivate ? undefined : call.from;
  const state =
    call.state === 'answered' ? 'confirmed' : call.state === 'ringing' ? 'early' : isCaller ? 'trying' : 'proceeding';
  return { call: call.id, direction: isCaller ? 'initiator' : 'recipient', state, other };
}

/** All dialogs of a user (RFC 4235 4.1). Who may not know with whom the user talks sees only that they do. */
export function writeDialogInfo(
  of: {
    readonly user: string;
    readonly domain: string;
    readonly dialogs: readonly UserDialog[];
    /** A name of the call that is this user's alone: two users with the same one would be seen to talk to each other. */
    readonly nameOf: (call: string) => string;
  },
  { version, seesParties }: { readonly version: number; readonly seesParties: boolean },
): string {
  const { user, domain, dialogs, nameOf } = of;
  const entity = xmlText(`sip:${user}@${domain}`);
  const written = dialogs.flatMap(({ call, direction, state, other }) => {
    const uri = other === undefined ? undefined : xmlText(`sip:${other}@${domain}`);
    const parties =
      seesParties && uri
        ? [
            `<local><identity>${entity}</identity><target uri="${entity}"/></local>`,
            `<remote><identity>${uri}</identity><target uri="${uri}"/></remote>`,
          ]
        : [];
    return [
      `<dialog id="${nameOf(call)}" direction="${direction}">`,
      `<state>${state}</state>`,
      ...parties,
      '</dialog>',
    ];
  });
  return [
    XML,
    `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="${version}" state="full" entity="${entity}">`,
    ...written,
    '</dialog-info>',
    '',
  ].join('\r\n');
}
