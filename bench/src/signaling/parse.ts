import { readFileSync } from 'node:fs';
import { parseAuthorization, parseSip, type SipMessage } from '@offhook/core';
import { browserInvite } from './invite.ts';

/** Times the parser on an INVITE of 2 kB: `parse.ts <batches>` prints the CPU µs per message of each batch as JSON. */
const MESSAGES = 20_000;
/** What admission and the call layer ask an INVITE for, beside what `parseSip` has checked. */
const ASKED = [
  'require proxy-require content-encoding accept replaces session-expires min-se supported allow user-agent',
  'p-asserted-identity privacy rseq x-anything',
]
  .join(' ')
  .split(' ');

const bytes = browserInvite();
let seen = 0;

function cpuNs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]);
}

function touch(message: SipMessage): number {
  const { from, to, cseq, vias, contacts, maxForwards } = message;
  let sum = message.method.length + cseq.number + (maxForwards ?? 0) + message.callId.length;
  sum += (from.tag?.length ?? 0) + (from.uri.user?.length ?? 0) + (to.tag?.length ?? 0) + to.uri.host.length;
  sum += (vias[0]?.branch?.length ?? 0) + (vias[0]?.host.length ?? 0) + (message.target?.host.length ?? 0);
  sum += contacts !== undefined && contacts !== '*' ? contacts.length : 0;
  for (const value of message.headers('authorization')) sum += parseAuthorization(value)?.response.length ?? 0;
  for (const name of ASKED) sum += message.header(name)?.length ?? 0;
  sum += message.hasToken('supported', '100rel') ? 1 : 0;
  return sum + (message.contentType === 'application/sdp' ? message.bodyText.length : 0);
}

function batch(): number {
  const before = cpuNs();
  for (let i = 0; i < MESSAGES; i++) {
    const message = parseSip(bytes);
    if (message.kind === 'error') throw new Error(`the INVITE can't be parsed: ${message.reason}`);
    seen += touch(message);
  }
  return (cpuNs() - before) / 1000 / MESSAGES;
}

batch();
const usPerMessage = Array.from({ length: Number(process.argv[2] ?? 5) }, batch);
process.stdout.write(`${JSON.stringify({ bytes: bytes.length, usPerMessage, seen })}\n`);
process.exit(0);
