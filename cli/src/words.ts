import { join } from 'node:path';
import { tlsFolder } from './composition.ts';
import type { Config } from './config/config.ts';
import type { Reach } from './running.ts';
import type { Ports } from './supervisor/spec.ts';

/** Why the page of another machine's browser finds no microphone, and what helps; getUserMedia needs a secure context. */
export function httpsRemedy(ownCa: string | undefined): string {
  const trust = ownCa === undefined ? '' : `, and import ${ownCa} there once as an authority for websites`;
  return `browsers on other machines need HTTPS before they give a page the microphone: open the https address${trust}`;
}

/** The CA that clients have to trust; undefined when the certificate is somebody else's. */
export function ownCaPath({ data, tls }: Pick<Config, 'data' | 'tls'>): string | undefined {
  return tls.cert === undefined ? join(tlsFolder(data), 'ca.pem') : undefined;
}

/** What a SIP phone has to be told. */
export function phoneWords({ domain, addresses, hostAddresses }: Reach, { udp, tcp, tls }: Ports): string {
  const servers = hostAddresses.length > 0 ? hostAddresses : addresses;
  const where = udp === tcp ? `port ${udp} (UDP or TCP)` : `port ${udp} (UDP) or ${tcp} (TCP)`;
  const secure = tls === undefined ? '' : ` or ${tls} (TLS)`;
  return `server ${servers.join(' or ')}, ${where}${secure}, domain ${domain}`;
}
