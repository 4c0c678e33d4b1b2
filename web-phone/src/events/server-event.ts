import { isStatus, type Presence, readNote } from '../presence.ts';

/** What the server tells of texts and of who is there. */
export type ServerEvent =
  | {
      readonly kind: 'message';
      readonly state: 'stored' | 'delivered' | 'failed' | 'expired';
      /** Only its sender is told. */
      readonly callId?: string;
      /** Why it failed, in words. */
      readonly reason?: string;
    }
  | ({ readonly kind: 'presence'; readonly user: string } & Presence)
  /** Somebody came or went. */
  | { readonly kind: 'registration' }
  /** Some of what happened is not known any more. */
  | { readonly kind: 'incomplete' };

/** @returns undefined for what this page has no use for */
export function readServerEvent(name: string, data: string): ServerEvent | undefined {
  let told: Record<string, unknown>;
  try {
    told = Object(JSON.parse(data));
  } catch {
    return undefined;
  }
  switch (name) {
    case 'message': {
      const { state, callId, reason } = told;
      if (state !== 'stored' && state !== 'delivered' && state !== 'failed' && state !== 'expired') return undefined;
      return {
        kind: 'message',
        state,
        ...(typeof callId === 'string' ? { callId } : {}),
        ...(typeof reason === 'string' ? { reason: reason.slice(0, 200) } : {}),
      };
    }
    case 'presence': {
      const { user, status, note } = told;
      return typeof user === 'string' && isStatus(status)
        ? { kind: 'presence', user, status, ...readNote(note) }
        : undefined;
    }
    case 'registration':
      return { kind: 'registration' };
    case 'incomplete':
      return { kind: 'incomplete' };
    default:
      return undefined;
  }
}
