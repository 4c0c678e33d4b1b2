import { formatIPv6, parseIPv4, parseIPv6 } from '@offhook/core';
import { decode, encode, type Packet, RECURSION_DESIRED, type Resource } from 'dns-packet';
import type { DnsRecord, DnsReply, Question } from './dns.ts';

/** What comes without IP fragments nearly everywhere. */
const EDNS_BYTES = 1232;
/** Records of one section that are looked at. */
const RECORDS = 200;

/**
 * A question as bytes (RFC 1035 4.1), recursion wanted; with EDNS(0) (RFC 6891) unless `plain`, for old servers.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     |              id               |Q| opcode|A|T|R|R| Z   | rcode |
 *     |         1 question            |           0 answers           |
 *     |         0 authorities         |        1 additional: OPT      |
 */
export function encodeQuestion(id: number, { name, type }: Question, form: 'edns' | 'plain'): Buffer {
  const additionals = form === 'edns' ? [{ type: 'OPT', name: '.', udpPayloadSize: EDNS_BYTES }] : [];
  return encode({ id, type: 'query', flags: RECURSION_DESIRED, questions: [{ type, name }], additionals });
}

/** A reply to that question and id; undefined for anything else, and bytes that make no sense. */
export function decodeReply(bytes: Buffer, id: number, question: Question): DnsReply | 'truncated' | undefined {
  let packet: Packet;
  try {
    packet = decode(bytes);
  } catch {
    return undefined;
  }
  const [asked, ...others] = packet.questions ?? [];
  if (packet.type !== 'response' || packet.id !== id || !asked || others.length > 0) return undefined;
  if (plain(asked.name) !== question.name || asked.type !== question.type || asked.class !== 'IN') return undefined;
  if (packet.flag_tc) return 'truncated';
  const { rcode = '' } = packet;
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return { kind: 'failure', rcode };
  const soa = packet.authorities?.find(({ type }) => type === 'SOA');
  return {
    kind: 'answer',
    rcode,
    answers: recordsOf(packet.answers),
    additionals: recordsOf(packet.additionals),
    // "the minimum of the MINIMUM field of the SOA record and the TTL of the SOA itself" (RFC 2308 3)
    ...(soa ? { negativeTtlS: Math.min(ttlOf(soa), numberOf(soa.data, 'minimum')) } : {}),
  };
}

function recordsOf(resources: readonly Resource[] = []): DnsRecord[] {
  return resources.slice(0, RECORDS).flatMap((resource) => recordOf(resource) ?? []);
}

function recordOf(resource: Resource): DnsRecord | undefined {
  const { type, data } = resource;
  if (resource.class !== 'IN') return undefined;
  const common = { name: plain(resource.name), ttlS: ttlOf(resource) };
  switch (type) {
    case 'A':
    case 'AAAA': {
      const address = typeof data === 'string' ? canonicalAddress(data, type) : undefined;
      return address === undefined ? undefined : { ...common, type, address };
    }
    case 'CNAME':
      return typeof data === 'string' ? { ...common, type, target: plain(data) } : undefined;
    case 'SRV':
      return {
        ...common,
        type,
        priority: numberOf(data, 'priority'),
        weight: numberOf(data, 'weight'),
        port: numberOf(data, 'port'),
        target: plain(textOf(data, 'target')),
      };
    case 'NAPTR':
      return {
        ...common,
        type,
        order: numberOf(data, 'order'),
        preference: numberOf(data, 'preference'),
        flags: textOf(data, 'flags'),
        services: textOf(data, 'services'),
        regexp: textOf(data, 'regexp'),
        replacement: plain(textOf(data, 'replacement')),
      };
    default:
      return undefined;
  }
}

/** RFC 5952; an IPv4 address in the clothes of IPv6 is none. */
function canonicalAddress(address: string, type: 'A' | 'AAAA'): string | undefined {
  if (type === 'A') return parseIPv4(address) === undefined ? undefined : address;
  const bytes = parseIPv6(address);
  const isMapped = bytes?.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return bytes && !isMapped ? formatIPv6(bytes) : undefined;
}

/** "the values … a TTL value received with the most significant bit set as if the entire value … was zero" (RFC 2181 8) */
function ttlOf({ ttl = 0 }: Resource): number {
  return ttl > 0x7fffffff ? 0 : ttl;
}

function fieldOf(data: unknown, name: string): unknown {
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>)[name] : undefined;
}

function numberOf(data: unknown, name: string): number {
  const value = fieldOf(data, name);
  return typeof value === 'number' ? value : 0;
}

function textOf(data: unknown, name: string): string {
  const value = fieldOf(data, name);
  return Buffer.isBuffer(value) ? value.toString('latin1') : typeof value === 'string' ? value : '';
}

/** Lower case, without the last dot; the root stays a dot. */
function plain(name: string): string {
  return name === '.' ? name : name.replace(/\.$/, '').toLowerCase();
}
