import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const HOST = '127.0.0.1';

/** A UDP port that was free a moment ago, for programs that can't take any port and say which; SIPp takes four for media. */
export async function freePort(inARow = 1): Promise<number> {
  for (;;) {
    const first = await bound(0);
    if (first === undefined || first + inARow > 65_536) continue;
    const rest = await Promise.all(Array.from({ length: inARow - 1 }, (_, i) => bound(first + 1 + i)));
    if (rest.every((port) => port !== undefined)) return first;
  }
}

/** The port once it was bound and is free again, or undefined when somebody has it. */
async function bound(port: number): Promise<number | undefined> {
  const socket = createSocket('udp4');
  try {
    socket.bind(port, HOST);
    await once(socket, 'listening');
    return socket.address().port;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** Polls until something outside this process has become true; the deadline is an error in words. */
export async function waitUntil(
  what: string,
  check: () => boolean | Promise<boolean>,
  withinMs: number,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether somebody listens at that UDP port. */
export async function isTaken(port: number): Promise<boolean> {
  return (await bound(port)) === undefined;
}
