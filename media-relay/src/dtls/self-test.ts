import { SrtpContext } from '../srtp/index.ts';
import { type DtlsCertificate, makeCertificate } from './certificate.ts';
import { DtlsEndpoint } from './endpoint.ts';
import { matchesFingerprint } from './fingerprint.ts';
import type { DtlsCommand } from './types.ts';

type Connected = Extract<DtlsCommand, { kind: 'connected' }>;

/**
 * A whole handshake with itself in memory and one packet through the keys; to be run before DTLS is offered. The reason
 * why DTLS-SRTP can't be used on this machine, or undefined.
 */
export function dtlsSelfTest(): string | undefined {
  let certificate: DtlsCertificate | undefined;
  const open: { close(): void }[] = [];
  try {
    certificate = makeCertificate();
    const client = new DtlsEndpoint({ role: 'client', certificate });
    open.push(client);
    const server = new DtlsEndpoint({ role: 'server', certificate });
    open.push(server);
    const done = new Map<DtlsEndpoint, Connected>();
    client.handleStart(0);
    for (let round = 0; round < 10 && done.size < 2; round++)
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const)
        for (let command = from.poll(); command; command = from.poll()) {
          if (command.kind === 'send') to.handlePacket(command.bytes, 0);
          else if (command.kind === 'connected') done.set(from, command);
          else return command.kind === 'failed' ? command.reason : 'DTLS: closed';
        }
    const sender = done.get(client);
    const receiver = done.get(server);
    if (!sender || !receiver) return 'DTLS: the handshake with itself did not finish';
    if (!matchesFingerprint(sender.peerCertificate, certificate.fingerprint)) return 'DTLS: the certificate changed';
    const protect = new SrtpContext(sender.local, 'protect');
    const unprotect = new SrtpContext(receiver.remote, 'unprotect');
    open.push(protect, unprotect);
    const packet = new Uint8Array(64).fill(7);
    packet[0] = 0x80;
    const length = protect.protect(packet, 0, 32);
    if (packet.subarray(12, 32).every((b) => b === 7)) return 'SRTP: the packet was not encrypted';
    if (unprotect.unprotect(packet, 0, length) !== 32 || packet[31] !== 7) return 'SRTP: the packet did not come back';
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const one of open) one.close();
    certificate?.close();
  }
}
