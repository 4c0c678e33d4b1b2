import { readdirSync, readFileSync, statSync } from 'node:fs';

const STARTED_AT_S = Date.now() / 1000 - process.uptime();
const MAX_FDS = openFilesLimit();

/** Figures of this process under the names that the exporters of all languages have for them; read at scrape. */
export function processFigures(): Record<string, number> {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, heapTotal } = process.memoryUsage();
  const open = openFiles();
  return {
    process_cpu_seconds_total: (user + system) / 1e6,
    process_resident_memory_bytes: rss,
    process_start_time_seconds: STARTED_AT_S,
    ...(open === undefined ? {} : { process_open_fds: open }),
    ...(MAX_FDS === undefined ? {} : { process_max_fds: MAX_FDS }),
    nodejs_heap_size_used_bytes: heapUsed,
    nodejs_heap_size_total_bytes: heapTotal,
  };
}

/** How many descriptors this process may have (the soft RLIMIT_NOFILE), where the system tells: Linux. */
export function openFilesLimit(path = '/proc/self/limits'): number | undefined {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync(path, 'latin1'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** Since Linux 6.2 the folder's size is their number; before, they have to be listed (1 ms for 2,000). */
function openFiles(): number | undefined {
  try {
    return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

/**
 * Datagrams that the system has thrown away because a receive buffer was full, of all programs of this host (network
 * namespace). Empty where the system does not tell.
 */
export function udpReceiveBufferErrors(): { ipv4?: number; ipv6?: number } {
  const ipv4 = columnOf(read('/proc/net/snmp'), 'RcvbufErrors');
  const ipv6 = /^Udp6RcvbufErrors\s+(\d+)/m.exec(read('/proc/net/snmp6'))?.[1];
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6: Number(ipv6) }) };
}

/** `Udp: name name …` and below it `Udp: value value …`. */
function columnOf(table: string, name: string): number | undefined {
  const [names, values] = table.split('\n').filter((line) => line.startsWith('Udp: '));
  const value = values?.split(' ')[names?.split(' ').indexOf(name) ?? -1];
  return value === undefined ? undefined : Number(value);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
