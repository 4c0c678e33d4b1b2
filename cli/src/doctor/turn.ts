import { type AddressRange, parseAddressRange, rangeHolds } from '@offhook/core';
import type { Config } from '../config/config.ts';
import type { Ports } from '../supervisor/spec.ts';
import type { Finding } from './finding.ts';
import { holderOf } from './holder.ts';

/** RFC 1918, and the shared addresses of carriers (RFC 6598). */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].map(
  (text) => parseAddressRange(text)!,
);

/** What the configuration makes of TURN on this machine. */
export function turnFindings(config: Config, own: readonly string[]): Finding[] {
  const { turn } = config;
  if (!turn.enabled) return [];
  const findings: Finding[] = [];
  const isPrivate = own.length > 0 && own.every((text) => isInside(parseAddressRange(text)));
  if (config.public && turn.external === undefined && isPrivate)
    findings.push({
      what: 'TURN address',
      state: 'note',
      words: `relayed addresses are told as ${own.join(' or ')}, which nobody outside of this network can reach`,
      remedy: 'behind one-to-one NAT set turn.external to the public address; in a network of its own nothing is wrong',
    });
  findings.push(...uselessFindings(config, own));
  const { min, max } = turn.relayPorts;
  const ports = max - min + 1;
  if (min > 0 && ports < turn.limits.allocations)
    findings.push({
      what: 'TURN ports',
      state: 'note',
      words: `turn.relayPorts has ${ports} ports, and turn.limits.allocations lets ${turn.limits.allocations} be wanted`,
      remedy: 'widen turn.relayPorts, or lower turn.limits.allocations, so that nobody is refused for want of a port',
    });
  return findings;
}

/** What is set and has no effect. */
function uselessFindings({ public: isPublic, turn, media }: Config, own: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const locals = typeof turn.external === 'object' ? Object.keys(turn.external) : [];
  const foreign = locals.filter((local) => !own.includes(local));
  if (foreign.length > 0)
    findings.push({
      what: 'TURN address',
      state: 'bad',
      words: `turn.external names ${foreign.join(' and ')}, no address of this host (it has ${own.join(', ') || 'none'})`,
      remedy: 'name the address that this host has behind the NAT: without it clients are told that one',
    });
  if (turn.external !== undefined && !isPublic)
    findings.push({
      what: 'TURN address',
      state: 'note',
      words: 'turn.external is set, and only this host is listened to',
      remedy: 'set public to true, or leave turn.external out',
    });
  const { min, max } = turn.relayPorts;
  const { rtpPorts } = media;
  if (media.path !== 'none' && min > 0 && rtpPorts.min > 0 && min <= rtpPorts.max && rtpPorts.min <= max)
    findings.push({
      what: 'TURN ports',
      state: 'note',
      words: `turn.relayPorts ${min}–${max} and media.rtpPorts ${rtpPorts.min}–${rtpPorts.max} overlap`,
      remedy: 'give each a range of its own: what one has the other passes over',
    });
  return findings;
}

/** Whether the running TURN server has the port that is configured, and who else has it. */
export function turnPortFindings({ turn }: Config, ports: Ports): Finding[] {
  const wanted = [
    ['UDP', 'udp', turn.port, ports.udp],
    ['TCP', 'tcp', turn.port, ports.tcp],
    ['TLS', 'tcp', turn.tlsPort, ports.tls],
  ] as const;
  return wanted.flatMap(([over, kind, port, real]): Finding[] => {
    if (port === 0 || real === undefined || real === port) return [];
    const holder = holderOf(kind, port)?.words;
    return [
      {
        what: `TURN over ${over}`,
        state: 'note',
        words: `uses port ${real}, because ${port} ${holder ? `is taken by ${holder}` : 'was taken'}`,
        remedy: turnRemedy(holder),
      },
    ];
  });
}

/** What to do about whoever has the port. */
export function turnRemedy(holder: string | undefined): string {
  return holder?.startsWith('turnserver')
    ? 'that is coturn, which Debian starts by itself: systemctl disable --now coturn; to keep it instead, set turn.enabled to false'
    : 'end that program, or set another port in offhook.config.json';
}

function isInside(address: AddressRange | undefined): boolean {
  return address !== undefined && PRIVATE.some((range) => rangeHolds(range, address));
}
