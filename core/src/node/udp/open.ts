import type { UdpPort, UdpPortOptions } from './port.ts';

/** Opens a UDP port; rejects with the system's error (`code` EADDRINUSE, EADDRNOTAVAIL, EACCES …). */
export async function openUdpPort(options: UdpPortOptions): Promise<UdpPort> {
  const { openDgramPort } = await import('./dgram.ts');
  return openDgramPort(options);
}
