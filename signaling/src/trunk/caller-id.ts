import { NameAddr, Params, SipUri } from '@offhook/core';
import { domainOf, TRUNK_DEFAULTS, type TrunkConfig } from './config.ts';
import type { Dids } from './dids.ts';
import type { NumberPlan } from './numbers.ts';
import type { OutgoingCaller } from './trunks.ts';

/** RFC 3323 4.1.1.3. */
const ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>';

export interface CallerId {
  /** From, without its tag. */
  readonly from: string;
  readonly headers: readonly (readonly [string, string])[];
}

/**
 * How a caller is shown on a trunk: by the own number there (the trunk's `dids` have it), by the number the call came with
 * where that is allowed, else by the trunk's. Who calls privately is named to the provider only (RFC 3325 9.3, RFC 3323).
 */
export function callerId(
  of: { readonly config: TrunkConfig; readonly plan: NumberPlan; readonly dids: Dids },
  caller: OutgoingCaller,
): CallerId {
  const { config, plan } = of;
  const host = domainOf(config);
  const number = plan.toTrunk(numberOf(of, caller));
  const name = nameOf(caller);
  const address = (user: string, params?: Params) => new NameAddr(new SipUri({ user, host }), params, name).toString();
  const from = caller.isPrivate ? ANONYMOUS : address(config.fromUser ?? number);
  const privacy: (readonly [string, string])[] = caller.isPrivate ? [['Privacy', 'id']] : [];
  const identity = config.identity ?? TRUNK_DEFAULTS.identity;
  switch (identity) {
    case 'p-asserted-identity':
      return { from, headers: [['P-Asserted-Identity', address(number)], ...privacy] };
    case 'p-preferred-identity':
      return { from, headers: [['P-Preferred-Identity', address(number)], ...privacy] };
    case 'remote-party-id': {
      const params = new Params().set('party', 'calling').set('screen', 'yes');
      params.set('privacy', caller.isPrivate ? 'full' : 'off');
      return { from, headers: [['Remote-Party-ID', address(number, params)], ...privacy] };
    }
    case 'from':
      return { from, headers: privacy };
    default:
      return identity satisfies never;
  }
}

function numberOf(
  { config, plan, dids }: { readonly config: TrunkConfig; readonly plan: NumberPlan; readonly dids: Dids },
  { user }: OutgoingCaller,
): string {
  const own = dids.numberOf(user);
  if (own !== undefined) return own;
  const given = config.passCallerId && /^\+?\d{3,15}$/.test(user) ? plan.fromTrunk(user) : undefined;
  return (
    given ?? (config.callerId === undefined ? (config.register?.user ?? 'anonymous') : plan.fromTrunk(config.callerId))
  );
}

/** A display name goes out to a stranger's phone: one short line. */
function nameOf({ displayName, isPrivate }: OutgoingCaller): string | undefined {
  const name = displayName
    ?.replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 64);
  return isPrivate || !name ? undefined : name;
}
