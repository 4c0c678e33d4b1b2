import { ipFamily, isLoopback } from '@offhook/core';

/** What can be set of media; what each key means stands in config.schema.json. */
export interface MediaSettings {
  readonly path: 'opaque' | 'terminated' | 'none';
  readonly encryption: 'optional' | 'required';
  readonly workers: number | 'auto';
  /** NG ports of relays elsewhere; undefined: own workers. */
  readonly relays?: readonly string[];
  /** Undefined: 2223, or the next free one. */
  readonly ngPort?: number;
  /** Undefined: loopback. */
  readonly ngAddress?: string;
  readonly ngAllowedClients?: readonly string[];
  /** Undefined: NG over UDP alone. */
  readonly ngTcpPort?: number;
  readonly ngWebSocketPort?: number;
  readonly ngAllowedOrigins?: readonly string[];
  readonly muxPort: number;
  /** Undefined: loopback and the host's own. */
  readonly muxAddresses?: readonly (string | { readonly address: string; readonly advertised: string })[];
  readonly rtpPorts: PortRange;
  /** Undefined: one, found by itself. */
  readonly rtpInterfaces?: readonly {
    readonly name: string;
    readonly address: string;
    readonly advertised?: string;
  }[];
  readonly timeoutS: number;
}

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** Where NG control is looked for, unless it is told otherwise: rtpengine's own port. */
const NG_PORT = 2223;

/** NG control's first port, and whether somebody counts on that very one. */
export function ngPortOf({ ngPort }: Pick<MediaSettings, 'ngPort'>): {
  readonly port: number;
  readonly isFixed: boolean;
} {
  return { port: ngPort ?? NG_PORT, isFixed: ngPort !== undefined && ngPort !== 0 };
}

/** What a schema can't say of media, in words. */
export function mediaProblems(media: MediaSettings): string[] {
  return [...portProblems(media), ...controlProblems(media), ...addressProblems(media)];
}

function portProblems(media: MediaSettings): string[] {
  const problems: string[] = [];
  const workers = media.workers === 'auto' ? 64 : media.workers;
  const { min, max } = media.rtpPorts;
  if (min > 0 && max >= min && max - min + 1 < 4 * workers && media.workers !== 'auto')
    problems.push(`media.rtpPorts: ${max - min + 1} ports are too few for ${workers} workers (4 for each)`);
  for (const name of ['ngPort', 'ngTcpPort', 'ngWebSocketPort', 'muxPort'] as const) {
    const first = media[name] ?? 0;
    const last = first + workers - 1;
    if (first > 0 && last > 65535) problems.push(`media.${name}: the last worker's port would be ${last}`);
  }
  return problems;
}

function controlProblems({ ngAddress, ngAllowedClients = [] }: MediaSettings): string[] {
  const problems: string[] = [];
  if (ngAddress !== undefined) {
    if (ipFamily(ngAddress) === undefined) problems.push(`media.ngAddress: '${ngAddress}' is no IP address`);
    else if (!isLoopback(ngAddress) && ngAllowedClients.length === 0)
      problems.push(
        `media.ngAddress: whoever reaches ${ngAddress} could command the media of all calls; name who may, by media.ngAllowedClients`,
      );
  }
  for (const [i, client] of ngAllowedClients.entries())
    if (ipFamily(client) === undefined) problems.push(`media.ngAllowedClients[${i}]: '${client}' is no IP address`);
  return problems;
}

function addressProblems({ rtpInterfaces = [], muxAddresses = [] }: MediaSettings): string[] {
  const places = [
    ...rtpInterfaces.map((place, i) => ({ ...place, where: `media.rtpInterfaces[${i}]` })),
    ...muxAddresses.map((one, i) => {
      const place = typeof one === 'string' ? { address: one, advertised: undefined } : one;
      return { ...place, where: `media.muxAddresses[${i}]` };
    }),
  ];
  return places.flatMap(({ where, address, advertised }) => {
    const family = ipFamily(address);
    if (family === undefined) return [`${where}: '${address}' is no IP address`];
    if (advertised !== undefined && ipFamily(advertised) !== family)
      return [`${where}: '${advertised}' is no IPv${family} address as ${address} is`];
    return [];
  });
}
