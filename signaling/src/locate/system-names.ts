import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { ipFamily } from '@offhook/core';

/** The addresses that the system itself finds for a name. */
export type Lookup = (name: string, family: 4 | 6) => Promise<readonly string[]>;

const HOSTS_PATH = process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts';
/** A hosts file that is longer is somebody's list of blocked names; its beginning is what people write. */
const HOSTS_BYTES = 1 << 20;
const ADDRESSES = 16;

/** What getaddrinfo knows beyond DNS: names of the local network (mDNS), of a directory. */
export const lookupNames: Lookup = async (name, family) => {
  try {
    const found = await lookup(name, { family, all: true });
    return found.slice(0, ADDRESSES).map(({ address }) => address);
  } catch {
    return [];
  }
};

/** The addresses of a name in the hosts file: `address name name … # comment`. */
export async function readHosts(name: string, type: 'A' | 'AAAA', path = HOSTS_PATH): Promise<string[]> {
  const text = await readFile(path, 'latin1').catch(() => '');
  const found: string[] = [];
  for (const line of text.slice(0, HOSTS_BYTES).split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!names.some((each) => each.toLowerCase() === name)) continue;
    if (ipFamily(address) === (type === 'A' ? 4 : 6)) found.push(address);
  }
  return found.slice(0, ADDRESSES);
}
