import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hostAddresses } from '../addresses.ts';
import type { Config } from '../config/config.ts';
import { ROOT } from '../root.ts';
import type { Reach } from '../running.ts';
import { httpsRemedy, ownCaPath } from '../words.ts';
import type { Finding } from './finding.ts';
import { turnFindings } from './turn.ts';

/** What the machine gives: Node, addresses, limits, the clock. Without `running`, as the next start would have it. */
export function machine(config: Config, running: Reach | undefined): Finding[] {
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
  findings.push(reach(running ? running.hostAddresses : config.public ? own : [], ownCaPath(config)));
  findings.push(...turnFindings(config, own));
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
  findings.push(clock());
  return findings;
}

function reach(addresses: readonly string[], ownCa: string | undefined): Finding {
  const what = 'reach';
  if (addresses.length > 0)
    return {
      what,
      state: 'note',
      words: `from other machines too, at ${addresses.join(', ')}`,
      remedy: httpsRemedy(ownCa),
    };
  const words = 'loopback only; http://localhost is a secure context, so no certificate is needed';
  return { what, state: 'good', words };
}

/** Nonces and TURN credentials carry the time, so a clock that is years off breaks every sign-in. */
function clock(): Finding {
  const now = new Date();
  const built = statSync(join(ROOT, 'package.json')).mtimeMs;
  const words = `${now.toISOString()} (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
  return now.getTime() + 86_400_000 < built
    ? { what: 'clock', state: 'bad', words: `${words} lies before this program's files`, remedy: 'set the clock (NTP)' }
    : { what: 'clock', state: 'good', words };
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
