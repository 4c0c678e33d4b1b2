import { hostAddresses } from '../addresses.ts';
import { controlAddress, inUri, LOOPBACK, muxAddresses, type RelayComposition } from '../composition.ts';
import { type ConfigFlags, loadConfig } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { mediaRelays, workerCount } from '../parts.ts';
import { version } from '../root.ts';
import type { Ports } from '../supervisor/spec.ts';
import { inForeground, refuseTakenControlPorts } from './foreground.ts';

/** Runs the media relay alone, for Kamailio, OpenSIPS or another Offhook, until it is told to stop. Answers the exit code. */
export async function relay(flags: ConfigFlags & { readonly quiet?: boolean | undefined }): Promise<number> {
  const config = loadConfig(flags, process.cwd());
  if (workerCount(config) === 0)
    throw new ConfigError(['media.relays names relays of elsewhere: leave it out where the relay itself is to run']);
  const composition: RelayComposition = {
    config,
    hostAddresses: config.hostAddresses ?? hostAddresses(),
    version: version(),
  };
  return inForeground({ config, quiet: flags.quiet ?? false }, async () => {
    await refuseTakenControlPorts(config);
    const parts = mediaRelays(composition, { ports: 'fixed', tcp: 'asked' });
    return {
      parts,
      ready: (supervisor, say) => {
        const ports = parts.map(({ name }) => supervisor.part(name)?.ports ?? {});
        for (const line of relayInWords(composition, ports)) say(line);
      },
    };
  });
}

/** Where it is, and what a controller is told, by the real ports of the workers. */
export function relayInWords(composition: RelayComposition, ports: readonly Ports[]): string[] {
  const { config, hostAddresses } = composition;
  const { media } = config;
  const isAll = media.ngAddress === '0.0.0.0' || media.ngAddress === '::';
  const at = inUri((isAll ? hostAddresses[0] : undefined) ?? controlAddress(media));
  const placed = (one: string | { readonly address: string; readonly advertised?: string | undefined }) =>
    typeof one === 'string'
      ? one
      : `${one.address}${one.advertised === undefined ? '' : ` (told as ${one.advertised})`}`;
  const plain = media.rtpInterfaces ?? [{ address: (config.public ? hostAddresses[0] : undefined) ?? LOOPBACK }];
  const { min, max } = media.rtpPorts;
  const sockets = ports.map(({ ng }) => `udp:${at}:${ng}`).join(' ');
  const streams = ports.flatMap(({ ngTcp, ngWebSocket }) => [
    ...(ngTcp === undefined ? [] : [`tcp ${at}:${ngTcp}`]),
    ...(ngWebSocket === undefined ? [] : [`ws://${at}:${ngWebSocket}/ng`]),
  ]);
  return [
    '',
    'The media relay is ready; there is no SIP server, TURN server or web phone beside it.',
    'In kamailio.cfg:',
    `  modparam("rtpengine", "rtpengine_sock", "${sockets}")`,
    ...(streams.length > 0 ? [`NG control too at: ${streams.join(', ')}`] : []),
    `NG control obeys: ${media.ngAllowedClients ? `${media.ngAllowedClients.join(', ')}, and this machine by ${controlAddress(media)}` : 'this machine'}`,
    `plain RTP:        ${plain.map(placed).join(', ')}, UDP ${min === 0 ? 'any free ports' : `${min}–${max}`}`,
    `WebRTC:           ${muxAddresses(composition).map(placed).join(', ')}, UDP ${ports.map(({ mux }) => mux).join(', ')}`,
    'Ctrl-C stops it, and ends the media of its calls.',
  ];
}
