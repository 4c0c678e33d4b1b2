import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

export interface Holder {
  /** As `chromium (pid 1234)`. */
  readonly words: string;
  /** The data folder, when it is a part of Offhook. */
  readonly data: string | undefined;
}

const COMM_LENGTH = 15;
const LONGEST_NAME = 60;
/** Names of threads and interpreters. */
const GENERIC = /^(?:MainThread|main|node|nodejs|bun|deno|ruby|perl|java|sh|bash|python[\d.]*)$/;

/**
 * Who holds a port, by the kernel's tables (proc(5), /proc/net/udp). Undefined where it can't
 * be seen: another system, or another user's process.
 */
export function holderOf(kind: 'tcp' | 'udp', port: number): Holder | undefined {
  const inodes = new Set<string>();
  for (const table of [`/proc/net/${kind}`, `/proc/net/${kind}6`]) {
    for (const line of lines(table).slice(1)) {
      // sl local_address rem_address st … uid timeout inode; a listening TCP socket is in state 0A
      const fields = line.trim().split(/\s+/);
      const local = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (local === port && (kind === 'udp' || fields[3] === '0A')) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      if (!inodes.has(link(`/proc/${pid}/fd/${fd}`))) continue;
      return { words: `${nameOf(pid)} (pid ${pid})`, data: dataFolderOf(pid) };
    }
  }
  return undefined;
}

/** The kernel's name has 15 letters (proc(5), comm), and that of an interpreter tells nothing: then the command line does. */
function nameOf(pid: string): string {
  const comm = lines(`/proc/${pid}/comm`)[0] ?? 'a process';
  if (comm.length < COMM_LENGTH && !GENERIC.test(comm)) return comm;
  const [program, ...args] = (lines(`/proc/${pid}/cmdline`)[0] ?? '').split('\0').filter((word) => word !== '');
  if (program === undefined) return comm;
  // a title that a process gave itself is one word with blanks
  const title = program.startsWith('/') ? basename(program) : program;
  const script = GENERIC.test(title) ? args.find((word) => !word.startsWith('-')) : undefined;
  const name = script === undefined ? title : `${title} ${basename(script)}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a process names itself, and may do so to a terminal's harm
  return name.replace(/[\x00-\x1f\x7f-\x9f]/g, '?').slice(0, LONGEST_NAME);
}

/** A part serves its admin socket, `<data>/run/<part>.sock`; /proc/net/unix names it. */
function dataFolderOf(pid: string): string | undefined {
  if (!nameOf(pid).startsWith('offhook ')) return undefined;
  const own = new Set(list(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`)));
  for (const line of lines('/proc/net/unix').slice(1)) {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, inode, path] = /^(?:\S+\s+){6}(\d+)\s+(\/.*)$/.exec(line) ?? [];
    const folder = /^(.*)\/run\/[^/]+\.sock$/.exec(path ?? '')?.[1];
    if (folder !== undefined && own.has(`socket:[${inode}]`)) return folder;
  }
  return undefined;
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
