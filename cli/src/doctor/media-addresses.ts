import { createSocket } from 'node:dgram';
import type { Config } from '../config/config.ts';
import type { Finding } from './finding.ts';

/** Addresses of the media relay that this host does not have: no port can be opened there, so calls that need one are refused. */
export async function mediaAddressFindings({ media }: Pick<Config, 'media'>): Promise<Finding[]> {
  const { ngAddress, muxAddresses = [], rtpInterfaces = [] } = media;
  const named = [
    ...(ngAddress === undefined ? [] : [['ngAddress', ngAddress] as const]),
    ...muxAddresses.map((place) => ['muxAddresses', typeof place === 'string' ? place : place.address] as const),
    ...rtpInterfaces.map(({ address }) => ['rtpInterfaces', address] as const),
  ];
  const findings = await Promise.all(
    named.map(async ([key, address]): Promise<Finding[]> => {
      if (await isHere(address)) return [];
      return [
        {
          what: 'media address',
          state: 'bad',
          words: `media.${key} names ${address}, no address of this host`,
          remedy: 'name one that it has; what phones are to be told instead, as behind NAT, is its "advertised"',
        },
      ];
    }),
  );
  return findings.flat();
}

function isHere(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code !== 'EADDRNOTAVAIL');
    });
    socket.bind(0, address, () => socket.close(() => resolve(true)));
  });
}
