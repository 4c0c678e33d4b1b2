import type { SocketAddress } from '@offhook/core';

/** How many ports above the wished one are tried. */
const TRIES = 20;

/** Opens at the wished port, or at the next free one above it when it is taken. Port 0 takes any. Other errors are thrown. */
export async function listenNear<T>(at: SocketAddress, open: (port: number) => Promise<T>): Promise<T> {
  for (let port = at.port; ; port++) {
    try {
      return await open(port);
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!taken || at.port === 0 || port >= Math.min(at.port + TRIES, 65_535)) throw error;
    }
  }
}
