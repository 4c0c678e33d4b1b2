import { takeMapped, takeNoted } from './descriptors.ts';
import type { UdpDescriptor, UdpPort, UdpPortOptions } from './port.ts';

type Fast = typeof import('./mmsg.ts');
let fast: Promise<Fast | string> | undefined;

/** The batched implementation, loaded only here: without koffi or on another system its import fails. */
async function loadFast(): Promise<Fast | string> {
  try {
    const mmsg = await import('./mmsg.ts');
    return mmsg.mmsgSelfTest() ?? mmsg;
  } catch (error) {
    return String(error);
  }
}

/** Why batched UDP can't be used on this machine, or undefined when it can. */
export async function batchedUdpProblem(): Promise<string | undefined> {
  fast ??= loadFast();
  const loaded = await fast;
  return typeof loaded === 'string' ? loaded : undefined;
}

/** Why io_uring doesn't serve several ports by one system call on this machine, or undefined when it does. */
export async function systemRingProblem(): Promise<string | undefined> {
  const problem = await batchedUdpProblem();
  if (problem !== undefined) return problem;
  const mmsg = await import('./mmsg.ts');
  return mmsg.ringProblem();
}

/** Opens a UDP port; rejects with the system's error (`code` EADDRINUSE, EADDRNOTAVAIL, EACCES …). */
export async function openUdpPort(options: UdpPortOptions): Promise<UdpPort> {
  const kind = options.implementation ?? 'auto';
  if (kind !== 'dgram') {
    fast ??= loadFast();
    const loaded = await fast;
    if (typeof loaded !== 'string') return loaded.openMmsgPort(options);
    if (kind === 'mmsg') throw new Error(loaded);
  }
  const { openDgramPort } = await import('./dgram.ts');
  return openDgramPort(options);
}

/**
 * Binds `count` sockets to one address and port that share its packets (SO_REUSEPORT): all packets of a source go to one of
 * them, the same one for as long as none of them is closed. For threads that each open a port over one (`fd`); the caller
 * keeps them for the life of the process, so that a thread in place of a dead one gets the dead one's socket with what
 * waits in it, and no source moves. Batched UDP only.
 */
export async function bindUdpDescriptors(options: UdpPortOptions, count: number): Promise<UdpDescriptor[]> {
  fast ??= loadFast();
  const loaded = await fast;
  if (typeof loaded === 'string') throw new Error(loaded);
  const { bindPacketDescriptors } = await import('./packet-socket.ts');
  return bindPacketDescriptors(options, count);
}

/** Closes what `bindUdpDescriptors` bound, once no port uses it any more. */
export async function closeUdpDescriptors(descriptors: readonly UdpDescriptor[]): Promise<void> {
  const { closeDescriptor } = await import('./libc.ts');
  for (const { fd } of descriptors) closeDescriptor(fd);
}

/** Closes what a thread had open that has ended and noted it in this memory (`noteDescriptors`); how many those were. */
export async function closeLeftDescriptors(memory: SharedArrayBuffer): Promise<number> {
  const left = takeNoted(memory);
  const mapped = takeMapped(memory);
  if (left.length === 0 && mapped.length === 0) return 0;
  const { libc } = await import('./libc.ts');
  for (const fd of left) libc.close(fd);
  for (const { address, bytes } of mapped) libc.munmap(address, bytes);
  return left.length;
}

/**
 * Adaptive gathering of this thread's batched ports and datagram sockets: while at least `minPackets` (default 4) are to be
 * expected in it, the thread sleeps `intervalUs` after a wake-up and then reads what came meanwhile; 0 (the default) is off.
 * Without batched UDP it does nothing.
 */
export async function gatherPackets(intervalUs: number, minPackets = 4): Promise<void> {
  if ((await batchedUdpProblem()) !== undefined) return;
  const { gathering } = await import('./readiness.ts');
  gathering.intervalUs = intervalUs;
  gathering.minPackets = minPackets;
}

/**
 * Has this thread run in short slices of the processor, for packets that shouldn't wait until others have used up theirs; what
 * the system gives then, nanoseconds, 0 where it knows none (before Linux 6.12, and for real-time threads).
 */
export async function shortTimeSlices(): Promise<number> {
  if ((await batchedUdpProblem()) !== undefined) return 0;
  const { askForShortSlices } = await import('./time-slice.ts');
  return askForShortSlices();
}

/** How long this thread has slept to gather packets, milliseconds in all; what measures how busy its loop is must know. */
export async function gatheringClock(): Promise<() => number> {
  if ((await batchedUdpProblem()) !== undefined) return () => 0;
  const { gathering } = await import('./readiness.ts');
  return () => gathering.sleptMs;
}

/**
 * For a thread that never returns to its event loop: a function that waits up to `waitMs` for packets on this thread's
 * batched ports and has their `onReadable` called. docs/packet-loop.md says why the services do not use it.
 */
export async function blockingPacketServer(): Promise<(waitMs: number) => void> {
  const { threadReadiness } = await import('./readiness.ts');
  return (waitMs) => threadReadiness().serve(waitMs);
}
