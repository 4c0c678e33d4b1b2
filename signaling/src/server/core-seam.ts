import type { Crypto } from '@offhook/core';
import type { AdmissionLimits, AuthenticatorOptions, Ban, BearerOptions, DigestSetting } from '../auth/index.ts';
import type { CallLimits, CallSnapshot, CallSummary, Encryption, MediaPath } from '../call/index.ts';
import type { Locate, LocatorCommand, LocatorOptions } from '../locate/index.ts';
import type { StreamCommand } from '../media/index.ts';
import type { MessageCommand } from '../messaging/index.ts';
import type { NotifierCommand, PresenceNews } from '../presence/index.ts';
import type { QualityNews } from '../quality/index.ts';
import type { RegistrarEvent } from '../registrar/index.ts';
import type { RingGroup, RouteCommand } from '../routing/index.ts';
import type { Account, UserSettings } from '../store/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { TrunkConfigs, TrunkNews } from '../trunk/index.ts';

/** What the machine is told once. */
export interface SipCoreOptions {
  readonly crypto: Crypto;
  /** Realm of the accounts and host part of their addresses. */
  readonly domain: string;
  /** Whether a host name or address means this server. */
  readonly isLocal: (host: string) => boolean;
  readonly account: (user: string) => Account | undefined;
  /** What a user wants done with calls; nothing special when left out. */
  readonly settings?: (user: string) => UserSettings;
  /** Users who are rung together and may take each other's calls, by the name that is called. */
  readonly groups?: Readonly<Record<string, RingGroup>>;
  readonly mediaPath: MediaPath;
  /** Whether phones may go without SRTP; they may when left out. */
  readonly encryption?: Encryption;
  /** Who decides what becomes of calls: the built-in routing at once (default), or whoever takes the `route` commands. */
  readonly routing?: 'built-in' | 'asked';
  /** How many media relays there are; they are known by number here. */
  readonly relays: number;
  readonly nowMs: number;
  /** Unix milliseconds, for the Date of answers to REGISTER and the age of tokens. */
  readonly wallMs?: () => number;
  readonly algorithm?: DigestSetting;
  /** Tokens that are taken in place of passwords; without `wallMs` none are. */
  readonly bearer?: BearerOptions;
  readonly callLimits?: CallLimits;
  readonly nonceLifetimeMs?: number;
  readonly nonceSecret?: string;
  readonly onWrongPassword?: AuthenticatorOptions['onWrongPassword'];
  readonly admissionLimits?: AdmissionLimits;
  /** False: nobody is banned, and scanners are answered like anybody. */
  readonly bans?: boolean;
  readonly trunks?: TrunkConfigs;
  /** Finds other servers instead of the locator. */
  readonly locate?: Locate;
  /** Whether an address is that of an edge proxy in front of this server. */
  readonly isEdge?: (address: string) => boolean;
  /** The address that peers on that flow reach us at, when the bound one says nothing (0.0.0.0). */
  readonly addressOf?: (flow: Flow) => { address: string; port: number };
  /** Whether requests go out over that transport to addresses of that family (default: to IPv4). */
  readonly sends?: LocatorOptions['sends'];
}

/** What it wants done, in order. */
export type SipCoreCommand =
  | { readonly kind: 'send'; readonly flow: Flow; readonly bytes: Uint8Array }
  | { readonly kind: 'relay'; readonly relay: number; readonly bytes: Uint8Array }
  /** About the connection over which a relay tells events (see `handleRelayStream`). */
  | { readonly kind: 'relay-stream'; readonly relay: number; readonly command: StreamCommand }
  /** A question to the DNS, a flow to open to another server (see `handleAnswer` and `handleOpened`), one in doubt. */
  | LocatorCommand
  | { readonly kind: 'registration'; readonly event: RegistrarEvent }
  /** Only with `routing: 'asked'`; answered by `handleRouted`, always. */
  | RouteCommand
  /** An answered call that another process could take over; its end is `call-ended`. */
  | { readonly kind: 'remember'; readonly call: CallSnapshot }
  | { readonly kind: 'call-progress'; readonly call: CallSummary }
  | { readonly kind: 'trunk'; readonly news: TrunkNews }
  | { readonly kind: 'presence'; readonly news: PresenceNews }
  /** How a call sounds, as one of its phones says. */
  | { readonly kind: 'quality'; readonly news: QualityNews }
  /** A subscription that another process could take over, or one that is over. */
  | { readonly kind: 'subscription'; readonly command: NotifierCommand }
  /** What the journal has to do with a message (`store` is answered by `handleStored`), and what became of one. */
  | { readonly kind: 'message'; readonly command: Exclude<MessageCommand, { kind: 'waiting' }> }
  /** Nothing is taken from there any more: what is open for strangers has to be closed. */
  | { readonly kind: 'banned'; readonly ban: Ban }
  | { readonly kind: 'call-ended'; readonly call: CallSummary };
