import { attribute, cryptoLines, iceCredentials, isSdpError, type NgDictionary, parseSdp } from '@offhook/core';
import { NgClient } from '@offhook/core/node';
import { CLIENT_PORT, PEER_PORT } from '../load/generator-process.ts';
import { CLIENT_NET, hostAddress, PEER_NET } from '../load/wire.ts';
import type { CallsRequest, FlowTarget } from './requests.ts';

/** What the calls' legs speak: RTP on both sides, SDES towards the peer, or WebRTC end to end. */
export type Path = 'plain' | 'srtp' | 'opaque';

const AT_ONCE = 16;
const TAG_BYTES = 10;
const SUITE = 'AES_CM_128_HMAC_SHA1_80';
const FINGERPRINT = `sha-256 ${new Array(32).fill('AB').join(':')}`;

/** Makes calls at a relay by offer and answer; answers what the generator needs to know of them. */
export async function makeCalls(ngPort: number, count: number, path: Path): Promise<CallsRequest> {
  using ng = await NgClient.open(ngPort);
  const flows: FlowTarget[] = new Array<FlowTarget>(2 * count);
  let next = 0;
  const work = async () => {
    while (next < count) {
      const call = next++;
      const [toPeer, toClient] = await makeCall(ng, call, path);
      flows[2 * call] = toPeer;
      flows[2 * call + 1] = toClient;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { kind: 'calls', flows, peerTail: path === 'srtp' ? TAG_BYTES : 0 };
}

/** Until a relay answers at that port. */
export async function untilAnswering(ngPort: number): Promise<void> {
  using ng = await NgClient.open(ngPort);
  await ng.ask({ command: 'ping' });
}

async function makeCall(ng: NgClient, call: number, path: Path): Promise<[FlowTarget, FlowTarget]> {
  const [a, b] = [hostAddress(CLIENT_NET, call + 1), hostAddress(PEER_NET, call + 1)];
  const own = (side: string) => `${side}${String(call).padStart(7, '0')}`;
  const ids: NgDictionary = { 'call-id': `bench-${call}`, 'from-tag': 'a' };
  const offer = path === 'opaque' ? webRtc(a, CLIENT_PORT, own('a'), 'actpass') : plain(a, CLIENT_PORT);
  const toB = await ng.ask({ command: 'offer', ...ids, sdp: offer, ...FLAGS[path] });
  const offered = target(toB, own('b'));
  const key = Buffer.alloc(30, call % 251).toString('base64');
  const answer =
    path === 'opaque'
      ? webRtc(b, PEER_PORT, own('b'), 'active')
      : path === 'srtp'
        ? plain(b, PEER_PORT, `a=crypto:${tagOf(toB)} ${SUITE} inline:${key}`)
        : plain(b, PEER_PORT);
  const toA = await ng.ask({ command: 'answer', ...ids, 'to-tag': 'b', sdp: answer, ...ANSWER_FLAGS[path] });
  return [target(toA, own('a')), path === 'srtp' ? { ...offered, key } : offered];
}

const COMMON: NgDictionary = { replace: ['origin', 'session-connection'], flags: ['trust-address'] };
const FLAGS: Readonly<Record<Path, NgDictionary>> = {
  plain: { ...COMMON, ICE: 'remove', 'rtcp-mux': ['demux'] },
  srtp: { ...COMMON, ICE: 'remove', 'rtcp-mux': ['demux'], 'transport-protocol': 'RTP/SAVP', DTLS: 'off' },
  opaque: { ICE: 'force', 'transport-protocol': 'UDP/TLS/RTP/SAVPF', 'rtcp-mux': ['offer'], flags: ['opaque'] },
};
const ANSWER_FLAGS: Readonly<Record<Path, NgDictionary>> = {
  plain: { ...COMMON, ICE: 'remove' },
  srtp: { ...COMMON, ICE: 'remove' },
  opaque: { ICE: 'force', flags: ['opaque'] },
};

function plain(address: string, port: number, crypto?: string): string {
  return lines(
    ...['v=0', `o=- 1 1 IN IP4 ${address}`, 's=-', `c=IN IP4 ${address}`, 't=0 0'],
    `m=audio ${port} ${crypto ? 'RTP/SAVP' : 'RTP/AVP'} 0`,
    ...(crypto ? [crypto] : []),
    'a=sendrecv',
  );
}

function webRtc(address: string, port: number, ufrag: string, setup: string): string {
  return lines(
    ...['v=0', `o=- 1 1 IN IP4 ${address}`, 's=-', 't=0 0', 'a=group:BUNDLE 0'],
    ...[`m=audio ${port} UDP/TLS/RTP/SAVPF 0`, `c=IN IP4 ${address}`, 'a=mid:0', 'a=rtcp-mux'],
    ...[`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${'p'.repeat(24)}`, `a=fingerprint:${FINGERPRINT}`, `a=setup:${setup}`],
    ...[`a=candidate:1 1 udp 2130706431 ${address} ${port} typ host`, 'a=sendrecv'],
  );
}

function lines(...all: string[]): string {
  return `${all.join('\r\n')}\r\n`;
}

/** Where media goes for the side that this description is for. */
function target({ sdp }: NgDictionary, own: string): FlowTarget {
  const { sd, media } = described(sdp);
  const credentials = iceCredentials(media, sd);
  if (!credentials) return { port: media.port };
  const candidate = attribute(media, 'candidate')?.split(' ');
  return { port: Number(candidate?.[5] ?? media.port), ice: { ...credentials, own } };
}

/** The tag of the suite that the generator speaks; an answer has to repeat it (RFC 4568 5.1.2). */
function tagOf({ sdp }: NgDictionary): number {
  const line = cryptoLines(described(sdp).media).find(({ suite }) => suite === SUITE);
  if (!line) throw new Error(`the relay does not offer ${SUITE}`);
  return line.tag;
}

function described(sdp: NgDictionary[string]) {
  const sd = parseSdp(String(sdp));
  const media = isSdpError(sd) ? undefined : sd.media[0];
  if (isSdpError(sd) || !media) throw new Error(`the relay's description can't be read: ${sdp}`);
  return { sd, media };
}
