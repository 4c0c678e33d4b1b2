import { xmlText } from '@offhook/core';
import { type Binding, secondsLeft } from '../registrar/index.ts';
import { XML } from './xml.ts';

export const REG_INFO = 'application/reginfo+xml';

/** The contacts of a user (RFC 3680 5). */
export function writeRegInfo(
  of: { readonly user: string; readonly domain: string; readonly bindings: readonly Binding[] },
  version: number,
  nowMs: number,
): string {
  const { user, domain, bindings } = of;
  const contacts = bindings.map((binding) => {
    const { key, written, q, instanceId, cseq, callId } = binding;
    return [
      `<contact id="${xmlText(key)}" state="active" event="registered" q="${q}" expires="${secondsLeft(binding, nowMs)}"`,
      ` callid="${xmlText(callId)}" cseq="${cseq}"><uri>${xmlText(written)}</uri>`,
      instanceId === undefined
        ? ''
        : `<unknown-param name="+sip.instance">${xmlText(`"${instanceId}"`)}</unknown-param>`,
      '</contact>',
    ].join('');
  });
  const state = bindings.length > 0 ? 'active' : 'terminated';
  return [
    XML,
    `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="${version}" state="full">`,
    `<registration aor="${xmlText(`sip:${user}@${domain}`)}" id="${xmlText(user)}" state="${state}">`,
    ...contacts,
    '</registration>',
    '</reginfo>',
    '',
  ].join('\r\n');
}
