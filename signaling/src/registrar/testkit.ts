import { createRequest, type SipMessage } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/** A flow of a test, from 127.0.0.1. */
export const flow = (id: number, transport: Flow['transport'] = 'udp'): Flow => ({
  id,
  transport,
  local: { address: '127.0.0.1', port: 5060 },
  remote: { address: '127.0.0.1', port: 6000 + id },
});

let cseq = 0;

/** A REGISTER of alice as it comes to the registrar, over as many proxies as it has Vias above the phone's. */
export function register(
  contacts: readonly string[],
  over: {
    callId?: string;
    cseq?: number;
    expires?: number;
    supported?: string;
    path?: readonly string[];
    vias?: number;
    headers?: readonly (readonly [string, string])[];
  } = {},
): SipMessage {
  const hops = Array.from({ length: over.vias ?? 1 }, (_, i) => ['Via', `SIP/2.0/UDP 192.0.2.${i};branch=z9hG4bK${i}`]);
  return createRequest({
    method: 'REGISTER',
    uri: 'sip:example.test',
    from: '<sip:alice@example.test>;tag=1',
    to: '<sip:alice@example.test>',
    callId: over.callId ?? 'one',
    cseq: over.cseq ?? ++cseq,
    headers: [
      ...(hops as [string, string][]),
      ...(over.path ?? []).map((value) => ['Path', value] as const),
      ...contacts.map((c) => ['Contact', c] as const),
      ...(over.supported === undefined ? [] : [['Supported', over.supported] as const]),
      ...(over.expires === undefined ? [] : [['Expires', over.expires] as const]),
      ...(over.headers ?? []),
    ],
  });
}
