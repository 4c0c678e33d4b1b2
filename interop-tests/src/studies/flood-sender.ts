// A flood, as cheap as Node can send it, in a program of its own: datagrams that were made beforehand, or connections on
// which nothing follows. Ends by itself; its last line says what it has sent.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface FloodTask {
  readonly kind: 'INVITE' | 'REGISTER' | 'half-open';
  readonly domain: string;
  readonly ports: { readonly udp: number; readonly tcp: number; readonly http: number };
  readonly perS: number;
  readonly seconds: number;
  /** Loopback addresses that it comes from, two ports of each. */
  readonly sources: readonly string[];
}

const TICK_MS = 2;
/** Copies that the kernel may still be reading while the next are changed. */
const RING = 256;
const MOST_OPEN = 6000;

const task = JSON.parse(process.argv[2]!) as FloodTask;
const result = task.kind === 'half-open' ? await halfOpen() : await datagrams(task.kind);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit();

async function datagrams(method: 'INVITE' | 'REGISTER'): Promise<{ sent: number }> {
  const senders = await Promise.all(
    [...task.sources, ...task.sources].map(async (address) => {
      const socket = createSocket('udp4');
      socket.on('error', () => {});
      socket.bind(0, address);
      await once(socket, 'listening');
      const { port } = socket.address();
      const text = message(method, `${address}:${port}`);
      const places = [...text.matchAll(/00000000/g)].map(({ index }) => index);
      return { socket, places, ring: Array.from({ length: RING }, () => Buffer.from(text)) };
    }),
  );
  const sent = await atRate((n) => {
    const { socket, places, ring } = senders[n % senders.length]!;
    const bytes = ring[Math.floor(n / senders.length) % RING]!;
    const number = n.toString(16).padStart(8, '0');
    for (const at of places) bytes.write(number, at, 'latin1');
    socket.send(bytes, task.ports.udp, '127.0.0.1');
  });
  for (const { socket } of senders) socket.close();
  return { sent };
}

function message(method: string, from: string): string {
  const sdp =
    method === 'INVITE'
      ? 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n'
      : '';
  const to = method === 'INVITE' ? 'sip:600' : 'sip:caller0';
  return (
    `${method} ${method === 'INVITE' ? `sip:600@${task.domain}` : `sip:${task.domain}`} SIP/2.0\r\n` +
    `Via: SIP/2.0/UDP ${from};branch=z9hG4bK00000000;rport\r\nFrom: <sip:caller0@${task.domain}>;tag=00000000\r\n` +
    `To: <${to}@${task.domain}>\r\nCall-ID: 00000000@flood\r\nCSeq: 1 ${method}\r\nContact: <sip:caller0@${from}>\r\n` +
    `Max-Forwards: 70\r\nUser-Agent: flood\r\n${sdp ? 'Content-Type: application/sdp\r\n' : ''}Content-Length: ${sdp.length}\r\n\r\n${sdp}`
  );
}

/** By turns: TCP without a word, TCP with a begun message, HTTP with begun headers, and a WebSocket that stays silent. */
async function halfOpen(): Promise<{ sent: number; closedByServer: number; failed: number }> {
  const open = new Set<Socket>();
  let closedByServer = 0;
  let failed = 0;
  const upgrade =
    'GET /sip HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n';
  const begun = ['', 'INVITE sip:600@offhook.local SIP/2.0\r\nVia: SIP/2.0/TCP x', upgrade, `${upgrade}\r\n`];
  const sent = await atRate((n) => {
    if (open.size >= MOST_OPEN) return;
    const words = begun[n % begun.length]!;
    const port = words.startsWith('GET') ? task.ports.http : task.ports.tcp;
    const localAddress = task.sources[n % task.sources.length]!;
    const socket = connect({ port, host: '127.0.0.1', localAddress }, () => words && socket.write(words));
    open.add(socket);
    socket.on('data', () => {});
    socket.on('error', () => failed++);
    socket.on('close', () => {
      closedByServer++;
      open.delete(socket);
    });
  });
  for (const socket of open) socket.removeAllListeners('close').destroy();
  return { sent, closedByServer, failed };
}

/** Calls `send` with 0, 1, 2 … at the rate; a flood that can't keep it up says so by its count. */
async function atRate(send: (n: number) => void): Promise<number> {
  const startMs = performance.now();
  let sent = 0;
  for (let ms = 0; ms < task.seconds * 1000; ms = performance.now() - startMs) {
    const due = Math.min(Math.floor((ms / 1000) * task.perS), sent + task.perS / 50);
    for (; sent < due; sent++) send(sent);
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  return sent;
}
