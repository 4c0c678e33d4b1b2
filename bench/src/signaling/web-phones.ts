import { answerChallenge, createRequest, hex, parseChallenge, parseSip } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import WebSocket from 'ws';

/**
 * Phones over WebSocket that register and then do nothing: `web-phones.ts <port> <domain> <password> <first> <count>`. It
 * prints `ready` when all are registered, and lives until it is told to end.
 */
const AT_ONCE = 50;
const WAIT_MS = 10_000;

const [port, domain, password, firstText, countText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const first = Number(firstText);
const count = Number(countText);
const sockets: WebSocket[] = [];

async function register(user: string): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/sip`, ['sip'], { perMessageDeflate: false });
  sockets.push(socket);
  const id = hex(nodeCrypto.randomBytes(8));
  let cseq = 0;
  const send = (more: readonly (readonly [string, string])[]) =>
    socket.send(
      createRequest({
        method: 'REGISTER',
        uri: `sip:${domain}`,
        from: `<sip:${user}@${domain}>;tag=${id.slice(0, 8)}`,
        to: `<sip:${user}@${domain}>`,
        callId: id,
        cseq: ++cseq,
        headers: [
          ['Via', `SIP/2.0/WS ${id}.invalid;branch=z9hG4bK${hex(nodeCrypto.randomBytes(8))}`],
          ['Contact', `<sip:${user}@${id}.invalid;transport=ws;ob>;+sip.instance="<urn:uuid:${uuid()}>";reg-id=1`],
          ['Supported', 'path, outbound, gruu'],
          ['Expires', '3600'],
          ['User-Agent', 'SIP.js/0.21.2'],
          ...more,
        ],
      }).serialize(),
    );
  await new Promise<void>((resolve, reject) => {
    const guard = setTimeout(() => reject(new Error(`${user} was not registered in time`)), WAIT_MS);
    socket.once('error', reject);
    socket.once('open', () => send([]));
    socket.on('message', (data: Buffer) => {
      const answer = parseSip(data);
      if (answer.kind !== 'response') return;
      const challenge = parseChallenge(answer.header('www-authenticate') ?? '');
      if (answer.status === 401 && challenge && cseq === 1) {
        const what = { challenge, username: user, password, method: 'REGISTER', uri: `sip:${domain}` };
        send([['Authorization', answerChallenge(what, nodeCrypto)!]]);
        return;
      }
      clearTimeout(guard);
      if (answer.status === 200) resolve();
      else reject(new Error(`REGISTER of ${user} was answered by ${answer.status} ${answer.reason}`));
    });
  });
}

function uuid(): string {
  const text = hex(nodeCrypto.randomBytes(16));
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
}

let next = first;
const worker = async () => {
  while (next < first + count) await register(`u${next++}`);
};
await Promise.all(Array.from({ length: AT_ONCE }, worker));
process.stdout.write('ready\n');
process.once('SIGTERM', () => process.exit(0));
