import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { type CertificateFacts, certificateFacts, outOfDate, readCredentials } from '@offhook/core/node';
import { tlsFolder } from '../composition.ts';
import type { Config } from '../config/config.ts';
import { ownCaPath } from '../words.ts';
import type { Finding } from './finding.ts';

/** Below this many days a certificate from elsewhere is worth a word; our own are renewed by themselves. */
const SOON_DAYS = 14;
const WAIT_MS = 1500;

/** The certificate that is served, or would be: its names, its days, who signed it, and how it comes to be trusted. */
export function certificateFinding(config: Config): Finding {
  const what = 'certificate';
  const { cert, key, ca } = config.tls;
  const nowMs = Date.now();
  try {
    if (cert !== undefined && key !== undefined) {
      const { facts, cert: pem } = readCredentials({ cert, key, clientCa: ca }, nowMs);
      const wrong = outOfDate(new X509Certificate(pem), nowMs);
      const words = `${cert}, ${inWords(facts)}`;
      const remedy = 'put the new one in its place: it is read by itself, and running calls stay';
      if (wrong) return { what, state: 'bad', words: `${words}: ${wrong}`, remedy };
      if (facts.daysLeft < SOON_DAYS) return { what, state: 'note', words, remedy };
      return { what, state: 'good', words };
    }
    const path = join(tlsFolder(config.data), 'server.pem');
    if (!existsSync(path)) return { what, state: 'good', words: 'the first start makes one, and the CA that signs it' };
    const facts = certificateFacts(new X509Certificate(readFileSync(path)), nowMs);
    return { what, state: 'good', words: inWords(facts), remedy: trustWords(ownCaPath(config)!) };
  } catch (error) {
    return { what, state: 'bad', words: (error as Error).message };
  }
}

function inWords({ names, daysLeft, signedBy, isSelfSigned }: CertificateFacts): string {
  return `for ${names.join(', ')}; ${daysLeft} days left; ${isSelfSigned ? 'self-signed' : `signed by ${signedBy}`}`;
}

function trustWords(caPath: string): string {
  return (
    `whoever connects has to trust its own CA, once: give ${caPath} to phones as their CA file (baresip: sip_cafile), and ` +
    'import it into browsers as an authority for websites'
  );
}

/** A handshake as a phone or browser does it, checked with the own CA, or with those that this machine trusts. */
export function handshakeFinding(what: string, port: number, caPath: string | undefined): Promise<Finding> {
  return new Promise((resolve) => {
    const ca = caPath === undefined ? {} : { ca: readFileSync(caPath) };
    const options = { port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false };
    // A certificate from elsewhere is for other names than localhost.
    const socket = connect({ ...options, ...ca, checkServerIdentity: () => undefined }, () => {
      const { authorized, authorizationError } = socket;
      const protocol = socket.getProtocol() ?? 'TLS';
      if (authorized) done({ what, state: 'good', words: `${protocol}, the certificate is in order (port ${port})` });
      else {
        const words = `${protocol}, but this machine does not trust the certificate: ${String(authorizationError)} (port ${port})`;
        done({ what, state: caPath === undefined ? 'note' : 'bad', words });
      }
    });
    const done = (finding: Finding) => {
      socket.destroy();
      resolve(finding);
    };
    socket.setTimeout(WAIT_MS, () => done({ what, state: 'bad', words: `no handshake on TCP port ${port}` }));
    socket.on('error', (error) => done({ what, state: 'bad', words: `TCP port ${port}: ${error.message}` }));
  });
}
