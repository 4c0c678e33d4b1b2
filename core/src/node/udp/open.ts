import type { UdpPort, UdpPortOptions } from './port.ts';

type OpenPort = (options: UdpPortOptions) => UdpPort;
let fast: Promise<OpenPort | string> | undefined;

/** The batched implementation, loaded only here: without koffi or on another system its import fails. */
async function loadFast(): Promise<OpenPort | string> {
  try {
    const { mmsgSelfTest, openMmsgPort } = await import('./mmsg.ts');
    return mmsgSelfTest() ?? openMmsgPort;
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

/** Opens a UDP port; rejects with the system's error (`code` EADDRINUSE, EADDRNOTAVAIL, EACCES …). */
export async function openUdpPort(options: UdpPortOptions): Promise<UdpPort> {
  const kind = options.implementation ?? 'auto';
  if (kind !== 'dgram') {
    fast ??= loadFast();
    const loaded = await fast;
    if (typeof loaded !== 'string') return loaded(options);
    if (kind === 'mmsg') throw new Error(loaded);
  }
  const { openDgramPort } = await import('./dgram.ts');
  return openDgramPort(options);
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
