import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';
import type { System } from '../system.ts';

/** Signalling has the first processor to itself; who makes the load, and every other part, share the second. */
const SERVER_CPU = 0;
export const LOAD_CPU = 1;

/** Whether what is measured and what measures it can have a processor each. */
const hasTwoCpus = availableParallelism() >= 2;

/**
 * Keeps a process, with all threads it has, on one processor, before whatever else runs there. Priorities count within a
 * session only (autogroup), so the session gets it too. Only root may: without it a busy machine is in all figures.
 */
export function pin(pid: number, cpu: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '-10');
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), -10);
  } catch {
    // not root, or a kernel without it
  }
  if (hasTwoCpus) execFileSync('taskset', ['-a', '-c', '-p', String(cpu), String(pid)], { stdio: 'ignore' });
}

/** Signalling has a processor; relay, TURN and all load the other. */
export async function place(system: System): Promise<void> {
  for (const [part, pid] of Object.entries(await system.pids())) pin(pid, part === 'signaling' ? SERVER_CPU : LOAD_CPU);
}

/** What to put in front of a command so that it runs there. */
export function pinned(cpu: number): readonly string[] {
  return hasTwoCpus ? ['taskset', '-c', String(cpu)] : [];
}

/** CPU time of a process with all its threads, milliseconds. */
export function cpuMs(pid: number): number {
  const perThread = readdirSync(`/proc/${pid}/task`).map((thread) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0]) / 1e6;
    } catch {
      return 0; // it has ended since it was listed
    }
  });
  return perThread.reduce((a, b) => a + b, 0);
}

export function rssBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kilobytes) * 1024;
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Datagrams that the kernel has thrown away because a UDP socket of that port was full. */
export function droppedByKernel(port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/udp', 'latin1').trim().split('\n').slice(1);
  const columns = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local?.endsWith(wanted));
  return columns.reduce((sum, column) => sum + Number(column.at(-1)), 0);
}

/** A UDP port of 127.0.0.1 that nobody has. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
