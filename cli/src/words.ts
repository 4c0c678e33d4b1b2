import type { Reach } from './running.ts';
import type { Ports } from './supervisor/spec.ts';

/** Why the page of another machine's browser finds no microphone, and what helps; getUserMedia needs a secure context. */
export const HTTPS_REMEDY =
  'browsers on other machines need HTTPS before they give a page the microphone: put a TLS proxy in front, and its origin into http.allowedOrigins';

/** What a SIP phone has to be told. */
export function phoneWords({ domain, addresses, hostAddresses }: Reach, { udp, tcp }: Ports): string {
  const servers = hostAddresses.length > 0 ? hostAddresses : addresses;
  const where = udp === tcp ? `port ${udp} (UDP or TCP)` : `port ${udp} (UDP) or ${tcp} (TCP)`;
  return `server ${servers.join(' or ')}, ${where}, domain ${domain}`;
}
