import type { SocketAddress } from '@offhook/core';
import type { UdpEndpoint } from '@offhook/core/node';

/** What to do with a packet that was handled. */
export const Verdict = { drop: 0, reply: 1, toPeer: 2, toClient: 3 } as const;
export type VerdictValue = (typeof Verdict)[keyof typeof Verdict];

/** What the shell has to do besides forwarding. */
export type TurnCommand =
  /** Open a socket and answer `handleRelayOpened` or `handleRelayFailed`; port 0 = any. */
  | { readonly kind: 'open-relay'; readonly id: number; readonly slot: number; readonly at: SocketAddress }
  /** Close the socket of that slot, or don't open it any more. */
  | { readonly kind: 'close-relay'; readonly id: number; readonly slot: number }
  /** Send from a listener, or over that connection when it is 0 or more. */
  | {
      readonly kind: 'send';
      readonly listener: number;
      readonly connection: number;
      readonly to: UdpEndpoint;
      readonly bytes: Uint8Array;
    };
