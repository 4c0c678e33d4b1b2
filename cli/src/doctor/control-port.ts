import { createSocket } from 'node:dgram';
import { LOOPBACK, nth } from '../composition.ts';
import type { Config } from '../config/config.ts';
import { ngPortOf } from '../config/media.ts';
import { workerCount } from '../parts.ts';
import type { FoundPart } from '../running.ts';
import { command } from '../spelling.ts';
import type { Ports } from '../supervisor/spec.ts';
import type { Finding } from './finding.ts';
import { holderOf } from './holder.ts';

const REMEDY =
  "end that program (Debian's rtpengine has the same port: systemctl stop rtpengine-daemon), or set another media.ngPort";

interface TakenPort {
  readonly words: string;
  /** The data folder of the Offhook that has it. */
  readonly data: string | undefined;
}

/** NG control ports of the workers that somebody else has, in words; those that parts of ours have already are theirs. */
export async function takenControlPorts(
  { media, ...config }: Config,
  own: readonly FoundPart[] = [],
): Promise<TakenPort[]> {
  const { port: first } = ngPortOf(media);
  const workers = workerCount({ media, ...config });
  const had = new Set(own.map(({ status }) => status?.ports.ng));
  const ports =
    first === 0 ? [] : Array.from({ length: workers }, (_, i) => first + i).filter((port) => !had.has(port));
  const taken: TakenPort[] = [];
  for (const port of ports) if (!(await isFree(port, media.ngAddress ?? LOOPBACK))) taken.push(controlTaken(port));
  return taken;
}

function controlTaken(port: number): TakenPort {
  const { words = 'another program', data } = holderOf('udp', port) ?? {};
  const whose = data === undefined ? '' : `, of the Offhook with the data folder ${data}`;
  return { words: `udp ${port} is taken by ${words}${whose}`, data };
}

/** Whether the next start gets its control ports. */
export async function controlPortFinding(config: Config): Promise<Finding> {
  const { port, isFixed } = ngPortOf(config.media);
  const what = 'media control port';
  const taken = await takenControlPorts(config);
  if (taken.length === 0) return { what, state: 'good', words: `udp ${port || 'any'} is free` };
  const said = taken.map(({ words }) => words).join('; ');
  const remedy = remedyOf(taken, isFixed);
  if (!isFixed) return { what, state: 'note', words: `${said}; the next free one would be used`, remedy };
  return {
    what,
    state: 'bad',
    words: `${said}; media.ngPort asks for that very one, so Offhook would not start`,
    remedy,
  };
}

/** Another Offhook is seldom there by mistake: it is to be looked at before it is ended. */
function remedyOf(taken: readonly TakenPort[], isFixed: boolean): string {
  const data = taken.find((port) => port.data !== undefined)?.data;
  if (data === undefined) return REMEDY;
  const examined = `to examine that system: ${command('doctor', { cwd: process.cwd(), data })}`;
  return isFixed
    ? `${examined}; to end it: ${command('stop', { cwd: process.cwd(), data })}; or set another media.ngPort`
    : examined;
}

/** Of a worker that runs: whether it has the control port that others expect. */
export function controlPortUsed(part: string, ports: Ports, config: Config): Finding[] {
  const wanted = nth(ngPortOf(config.media).port, Number(part.slice('media-relay-'.length)));
  if (ports.ng === undefined || wanted === 0 || ports.ng === wanted) return [];
  const holder = holderOf('udp', wanted);
  return [
    {
      what: `${part} control`,
      state: 'note',
      words: `uses udp ${ports.ng}, because ${wanted} ${holder ? `is taken by ${holder.words}` : 'was taken'}`,
      remedy: `${REMEDY}; a controller of yours has to be told ${ports.ng} otherwise`,
    },
  ];
}

function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code !== 'EADDRINUSE');
    });
    socket.bind(port, address, () => socket.close(() => resolve(true)));
  });
}
