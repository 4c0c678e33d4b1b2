import { join } from 'node:path';

/** sun_path of a Unix socket, unix(7), without the closing zero. */
const SOCKET_PATH_LIMIT = process.platform === 'linux' ? 107 : 103;

/** Why sockets can't be made in this data folder, in words. */
export function pathProblem(data: string): string | undefined {
  const longest = Buffer.byteLength(join(data, 'run/media-relay-00.sock'));
  if (longest <= SOCKET_PATH_LIMIT) return undefined;
  return `the data folder's path is ${longest - SOCKET_PATH_LIMIT} characters too long for the sockets in it (${data}); --data names a shorter one`;
}
