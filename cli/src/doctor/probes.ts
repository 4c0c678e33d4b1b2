import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import {
  createRequest,
  decodeNg,
  decodeStun,
  encodeNg,
  isStun,
  type NgDictionary,
  parseSip,
  SipMessage,
  StunClass,
  StunMethod,
  StunWriter,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Finding } from './finding.ts';

const WAIT_MS = 1500;

export async function httpFinding(port: number): Promise<Finding> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(WAIT_MS) });
    const body = (await answer.json()) as { error?: { message?: string } };
    return answer.ok
      ? { what: 'HTTP', state: 'good', words: `ready on port ${port}` }
      : { what: 'HTTP', state: 'bad', words: body.error?.message ?? `answers ${answer.status}` };
  } catch (error) {
    return { what: 'HTTP', state: 'bad', words: `no answer on port ${port}: ${(error as Error).message}` };
  }
}

/** The upgrade of the SIP WebSocket, as a phone does it (RFC 7118 4.1). */
export function upgradeFinding(port: number): Promise<Finding> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/sip`, 'sip');
    const done = (finding: Finding) => {
      clearTimeout(timer);
      resolve(finding);
      socket.close();
    };
    const timer = setTimeout(
      () => done({ what: 'SIP over WebSocket', state: 'bad', words: 'no answer to the upgrade' }),
      WAIT_MS,
    );
    socket.onopen = () =>
      done({ what: 'SIP over WebSocket', state: 'good', words: `opens at ws://localhost:${port}/sip` });
    socket.onerror = () =>
      done({
        what: 'SIP over WebSocket',
        state: 'bad',
        words: 'the upgrade is refused',
        remedy: 'a proxy in between must pass WebSocket upgrades',
      });
  });
}

export function sipUdpFinding(port: number): Promise<Finding> {
  return probe('SIP over UDP', port, sipOptions('UDP', port), isSipAnswer);
}

export function turnFinding(port: number): Promise<Finding> {
  return probe('TURN', port, stunBinding(), (bytes) => (isStunAnswer(bytes) ? 'answers a STUN Binding' : undefined));
}

/** The media port answers only who knows a call's ICE password; a refusal in STUN shows that it lives. */
export function muxFinding(part: string, port: number, address?: string): Promise<Finding> {
  const read = (bytes: Uint8Array) =>
    isStunAnswer(bytes) ? 'answers STUN, and refuses whoever has no call, as it should' : undefined;
  return probe(`${part} media`, port, stunBinding(), read, address);
}

export function ngFinding(part: string, port: number, address?: string): Promise<Finding> {
  const ping = encodeNg('doctor', { command: 'ping' }, 'bencode');
  return probe(`${part} control`, port, ping, (bytes) => (isPong(bytes) ? 'answers a ping' : undefined), address);
}

function sipOptions(transport: string, port: number): Uint8Array {
  const uri = `sip:127.0.0.1:${port}`;
  const id = Buffer.from(nodeCrypto.randomBytes(8)).toString('hex');
  return createRequest({
    method: 'OPTIONS',
    uri,
    from: `<sip:doctor@127.0.0.1>;tag=${id}`,
    to: `<${uri}>`,
    callId: id,
    cseq: 1,
  })
    .prepend('via', `SIP/2.0/${transport} 127.0.0.1;branch=z9hG4bK${id};rport`)
    .serialize();
}

const isSipAnswer = (bytes: Uint8Array): string | undefined => {
  const answer = parseSip(bytes);
  return answer instanceof SipMessage && answer.kind === 'response'
    ? 'answers and asks for credentials, as it should'
    : undefined;
};

function stunBinding(): Uint8Array {
  const writer = new StunWriter(new Uint8Array(64));
  writer.start(StunClass.request, StunMethod.binding, nodeCrypto.randomBytes(12));
  // The media port answers nobody more than it was sent: a bare header of 20 bytes gets nothing.
  writer.fingerprint();
  writer.finish();
  return writer.message();
}

function isStunAnswer(bytes: Uint8Array): boolean {
  return isStun(bytes, 0, bytes.length) && decodeStun(bytes) !== undefined;
}

function isPong(bytes: Uint8Array): boolean {
  return (decodeNg(bytes)?.message as NgDictionary | undefined)?.result === 'pong';
}

function probe(
  what: string,
  port: number,
  request: Uint8Array,
  read: (bytes: Uint8Array) => string | undefined,
  address = '127.0.0.1',
): Promise<Finding> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const done = (finding: Finding) => {
      clearTimeout(timer);
      socket.close();
      resolve(finding);
    };
    const timer = setTimeout(
      () =>
        done({
          what,
          state: 'bad',
          words: `no answer on UDP port ${port}`,
          remedy: 'a firewall on this host may drop it',
        }),
      WAIT_MS,
    );
    socket.on('error', (error) => done({ what, state: 'bad', words: `UDP port ${port}: ${error.message}` }));
    socket.on('message', (bytes) => {
      const words = read(bytes);
      done(
        words
          ? { what, state: 'good', words: `${words} (port ${port})` }
          : { what, state: 'bad', words: `something else answers on UDP port ${port}` },
      );
    });
    socket.send(request, port, address);
  });
}

export function tcpFinding(port: number): Promise<Finding> {
  return new Promise((resolve) => {
    const what = 'SIP over TCP';
    const socket = connect(port, '127.0.0.1', () => socket.write(sipOptions('TCP', port)));
    const done = (finding: Finding) => {
      socket.destroy();
      resolve(finding);
    };
    socket.setTimeout(WAIT_MS, () => done({ what, state: 'bad', words: `no answer on TCP port ${port}` }));
    socket.on('error', (error) => done({ what, state: 'bad', words: `TCP port ${port}: ${error.message}` }));
    socket.on('data', (bytes) => {
      const words = isSipAnswer(bytes);
      done(
        words
          ? { what, state: 'good', words: `${words} (port ${port})` }
          : { what, state: 'bad', words: `something else answers on TCP port ${port}` },
      );
    });
  });
}
