import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
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
import { nodeCrypto, type PartStatus } from '@offhook/core/node';
import { hostAddresses } from '../addresses.ts';
import { type Config, type ConfigFlags, loadConfig } from '../config/config.ts';
import { ROOT } from '../root.ts';
import { runningParts } from '../running.ts';

export interface Finding {
  readonly what: string;
  readonly state: 'good' | 'note' | 'bad';
  readonly words: string;
  /** How to mend it. */
  readonly remedy?: string;
}

const WAIT_MS = 1500;

/** Checks the machine, the configuration, and every part from outside; works when nothing runs too. */
export async function doctor(flags: ConfigFlags, json: boolean): Promise<number> {
  const config = loadConfig(flags, process.cwd());
  const findings = [...machine(config), ...(await system(config))];
  if (json) process.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
  else {
    for (const { what, state, words, remedy } of findings) {
      process.stdout.write(
        `${state === 'good' ? '  ok   ' : state === 'note' ? '  note ' : '  BAD  '}${what}: ${words}\n`,
      );
      if (remedy) process.stdout.write(`         → ${remedy}\n`);
    }
    const bad = findings.filter(({ state }) => state === 'bad').length;
    process.stdout.write(
      bad === 0 ? 'Nothing is wrong.\n' : `${bad} ${bad === 1 ? 'thing is' : 'things are'} wrong.\n`,
    );
  }
  return findings.some(({ state }) => state === 'bad') ? 1 : 0;
}

function machine(config: Config): Finding[] {
  const findings: Finding[] = [];
  const major = Number(process.versions.node.split('.')[0]);
  findings.push({
    what: 'Node',
    state: major >= 24 ? 'good' : 'bad',
    words: process.version,
    remedy: major >= 24 ? undefined : 'run npm start, which brings its own',
  });
  findings.push({ what: 'configuration', state: 'good', words: `domain ${config.domain}, data in ${config.data}` });
  const own = config.hostAddresses ?? hostAddresses();
  findings.push(
    own.length > 0
      ? {
          what: 'addresses',
          state: 'good',
          words: `this host is ${own.join(', ')}; media is offered there and on loopback`,
        }
      : {
          what: 'addresses',
          state: 'note',
          words: 'this host has loopback only',
          remedy: 'browsers on this machine work, but Firefox does not use loopback for media',
        },
  );
  findings.push(
    config.public
      ? {
          what: 'reach',
          state: 'note',
          words: 'listening on the host’s own addresses, over plain HTTP',
          remedy:
            'browsers on other machines need HTTPS before they give a page the microphone: put a TLS proxy in front',
        }
      : {
          what: 'reach',
          state: 'good',
          words: 'loopback only; http://localhost is a secure context, so no certificate is needed',
        },
  );
  if (!existsSync(join(ROOT, 'web-phone/dist/index.html')))
    findings.push({ what: 'web phone', state: 'bad', words: 'is not built', remedy: 'npm run build' });
  const files = limitOfFiles();
  if (files !== undefined)
    findings.push({
      what: 'open files',
      state: files >= 4096 ? 'good' : 'note',
      words: `${files} allowed`,
      remedy: files >= 4096 ? undefined : 'ulimit -n 65536 before many calls',
    });
  const buffer = readNumber('/proc/sys/net/core/rmem_max');
  if (buffer !== undefined)
    findings.push({
      what: 'receive buffer',
      state: buffer >= 4 << 20 ? 'good' : 'note',
      words: `${Math.round(buffer / 1024)} KiB at most`,
      remedy: buffer >= 4 << 20 ? undefined : 'sysctl -w net.core.rmem_max=4194304 keeps bursts from being lost',
    });
  return findings;
}

async function system(config: Config): Promise<Finding[]> {
  const parts = await runningParts(config.data);
  if (parts.length === 0)
    return [{ what: 'parts', state: 'note', words: 'nothing runs', remedy: 'npm start' }, ...(await portsFree(config))];
  const find = (name: string) => parts.find(({ part }) => part === name);
  const findings: Finding[] = [];
  for (const name of ['signaling', 'turn', 'media-relay-0']) {
    const part = find(name);
    findings.push(
      part
        ? partFinding(part)
        : {
            what: name,
            state: 'bad',
            words: 'does not run',
            remedy: `see ${join(config.data, 'log', `${name}.log`)}; 'npm start' starts it again`,
          },
    );
  }
  const { http, udp, tcp } = find('signaling')?.ports ?? {};
  if (http) findings.push(await httpFinding(http), await upgradeFinding(http));
  if (udp) findings.push(await probe('SIP over UDP', udp, () => sipOptions('UDP', udp), isSipAnswer));
  if (tcp) findings.push(await tcpFinding(tcp));
  const turn = find('turn')?.ports.udp;
  if (turn) findings.push(await probe('TURN', turn, stunBinding, isStunAnswer));
  for (const { part, ports } of parts.filter(({ part }) => part.startsWith('media-relay'))) {
    if (ports.ng)
      findings.push(
        await probe(`${part} control`, ports.ng, () => encodeNg('doctor', { command: 'ping' }, 'bencode'), isPong),
      );
  }
  return findings;
}

function partFinding(part: PartStatus): Finding {
  const warnings = part.details.warnings;
  const words = `${part.state}, pid ${part.pid}, ${Object.entries(part.ports)
    .map(([name, port]) => `${name} ${port}`)
    .join(', ')}`;
  if (part.details.dtls !== undefined && part.details.dtls !== 'on')
    return {
      what: part.part,
      state: 'bad',
      words: `${words}; DTLS is off: ${String(part.details.dtls)}`,
      remedy: 'calls between browsers and SIP phones need it; use the pinned Node',
    };
  if (Array.isArray(warnings) && warnings.length > 0)
    return { what: part.part, state: 'note', words: `${words}; ${warnings.join('; ')}` };
  return { what: part.part, state: 'good', words };
}

async function httpFinding(port: number): Promise<Finding> {
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
function upgradeFinding(port: number): Promise<Finding> {
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
  writer.finish();
  return writer.message();
}

const isStunAnswer = (bytes: Uint8Array): string | undefined =>
  isStun(bytes, 0, bytes.length) && decodeStun(bytes) ? 'answers a STUN Binding' : undefined;
const isPong = (bytes: Uint8Array): string | undefined =>
  (decodeNg(bytes)?.message as NgDictionary | undefined)?.result === 'pong' ? 'answers a ping' : undefined;

function probe(
  what: string,
  port: number,
  request: () => Uint8Array,
  read: (bytes: Uint8Array) => string | undefined,
): Promise<Finding> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
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
    socket.send(request(), port, '127.0.0.1');
  });
}

function tcpFinding(port: number): Promise<Finding> {
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

/** Ports that a start would skip, because somebody has them. */
async function portsFree(config: Config): Promise<Finding[]> {
  const wanted = [
    ['HTTP', 'tcp', config.http.port],
    ['SIP', 'udp', config.sip.port],
    ['SIP', 'tcp', config.sip.port],
    ['TURN', 'udp', config.turn.port],
    ['media', 'udp', config.media.muxPort],
    ['media control', 'udp', config.media.ngPort],
  ] as const;
  const findings = await Promise.all(
    wanted.map(async ([what, kind, port]): Promise<Finding> => {
      const free = port === 0 || (await (kind === 'tcp' ? tcpFree(port) : udpFree(port)));
      return free
        ? { what: `${what} port`, state: 'good', words: `${kind} ${port || 'any'} is free` }
        : {
            what: `${what} port`,
            state: 'note',
            words: `${kind} ${port} is taken by another program; the next free one would be used`,
            remedy: `see who: ss -lnp | grep :${port}`,
          };
    }),
  );
  return findings;
}

function tcpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function udpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

function limitOfFiles(): number | undefined {
  try {
    const match = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'));
    return match ? Number(match[1]) : undefined;
  } catch {
    return undefined;
  }
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
