import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import {
  answerChallenge,
  createRequest,
  type DigestChallenge,
  parseChallenge,
  parseSip,
  SipMessage,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { lacking } from './src/peers.ts';
import { sipp } from './src/sipp.ts';
import { System, scratchFolder } from './src/system.ts';

const skip = lacking('sipp');

const folder = scratchFolder();
let system: System;
const user = 'tester';
const password = 'correct-Horse-7';

before(async () => {
  if (skip) return;
  system = await System.start({ folder: folder.path });
  await system.addUser(user, password);
});

after(async () => {
  await system?.stop();
  folder.remove();
});

/** The challenge that a REGISTER without credentials gets. */
async function challenge(): Promise<DigestChallenge> {
  const socket = createSocket('udp4');
  try {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const address = `<sip:${user}@${system.domain}>`;
    const request = createRequest({
      method: 'REGISTER',
      uri: `sip:${system.domain}`,
      from: `${address};tag=1`,
      to: address,
      callId: 'challenge',
      cseq: 1,
      headers: [['Via', `SIP/2.0/UDP 127.0.0.1:${socket.address().port};branch=z9hG4bKchallenge`]],
    });
    socket.send(request.serialize(), system.ports.udp!, '127.0.0.1');
    const [bytes] = (await once(socket, 'message')) as [Buffer];
    const answer = parseSip(bytes);
    assert.ok(answer instanceof SipMessage && answer.status === 401);
    return parseChallenge(answer.header('www-authenticate')!)!;
  } finally {
    socket.close();
  }
}

function answer(to: DigestChallenge): string {
  const uri = `sip:${system.domain}`;
  return answerChallenge({ challenge: to, username: user, password, method: 'REGISTER', uri }, nodeCrypto)!;
}

async function registersAfter(authorization: string, expected: string): Promise<void> {
  const run = await sipp({
    folder: folder.path,
    server: `127.0.0.1:${system.ports.udp}`,
    user,
    password,
    domain: system.domain,
    scenario: 'register-answered.xml',
    replace: { AUTHORIZATION: authorization, CHALLENGE: expected },
    calls: 1,
  });
  assert.equal(run.failed, 0, run.output);
  assert.equal(run.successful, 1, run.output);
}

test('credentials for another realm are answered by a challenge for ours', { skip }, async () => {
  await registersAfter(answer({ ...(await challenge()), realm: 'elsewhere' }), `realm=.${system.domain}.`);
});

test('a nonce of before a crash is called stale, so the phone tries again without asking its owner', {
  skip,
}, async () => {
  const old = answer(await challenge());
  await system.killPart('signaling');
  await system.waitForPart('signaling');
  system.ports = (await system.status('signaling')).ports;
  await registersAfter(old, 'stale=true');
});

test('credentials that were used before are called stale too', { skip }, async () => {
  const used = answer(await challenge());
  await registersAfter(used, 'nonce').catch(() => {}); // good the first time: SIPp expects a challenge and gives up
  await registersAfter(used, 'stale=true');
});
