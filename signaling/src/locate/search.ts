import type { Crypto } from '@offhook/core';
import type { NaptrRecord } from './dns.ts';
import { DEFAULT_PORT, type Hop, type HopTransport, hopKey, isUnicast, type Target } from './hop.ts';
import type { AlongAddress, Answer, Resolver } from './resolver.ts';
import { orderSrv } from './srv.ts';

/** Hops to one target, and NAPTR records of one name that are used. */
const HOPS = 32;
const NAPTR = 8;

/** "SIP+D2U", "SIP+D2T", "SIPS+D2T" (RFC 3263 4.1). */
const SERVICES: Readonly<Record<string, HopTransport>> = { 'sip+d2u': 'udp', 'sip+d2t': 'tcp', 'sips+d2t': 'tls' };
const SRV_PREFIX: Readonly<Record<HopTransport, string>> = { udp: '_sip._udp.', tcp: '_sip._tcp.', tls: '_sips._tcp.' };
/** The order of preference where the other side states none. */
const TRANSPORTS: readonly HopTransport[] = ['udp', 'tcp', 'tls'];
const TYPES = { 4: 'A', 6: 'AAAA' } as const;

export interface SearchOptions {
  readonly resolver: Resolver;
  readonly crypto: Crypto;
  /** Whether this server sends over that transport to addresses of that family. */
  readonly sends: (transport: HopTransport, family: 4 | 6) => boolean;
  /** Something was found, or won't be. */
  readonly onProgress: (nowMs: number) => void;
}

/** A server, by name, and the family of addresses of it that are wanted; `hops` are there once they are known. */
interface Slot {
  readonly place: Place;
  readonly family: 4 | 6;
  hops: readonly Hop[] | undefined;
  words?: string;
}

interface Place {
  readonly transport: HopTransport;
  readonly host: string;
  readonly port: number;
}

interface Service {
  readonly transport: HopTransport;
  /** Where its SRV records are. */
  readonly name: string;
}

/**
 * Where a target is reached, by RFC 3263 4.1 and 4.2: servers in their order, and the addresses of each. What is known is
 * there to be tried before the rest is, so a dead name server of the second holds nobody up.
 */
export class Search {
  readonly #options: SearchOptions;
  readonly #target: Target;
  #slots: Slot[] | undefined;
  /** Why there are no servers. */
  #words: string | undefined;

  constructor(target: Target, options: SearchOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** What is known by now, in order: up to the first server whose addresses are still awaited. */
  get hops(): readonly Hop[] {
    const hops = new Map<string, Hop>();
    for (const slot of this.#slots ?? []) {
      if (!slot.hops) break;
      for (const hop of slot.hops) if (hops.size < HOPS && !hops.has(hopKey(hop))) hops.set(hopKey(hop), hop);
    }
    return [...hops.values()];
  }

  get isDone(): boolean {
    return this.#words !== undefined || (this.#slots?.every(({ hops }) => hops !== undefined) ?? false);
  }

  /** Why there is nothing, in words. */
  get words(): string {
    const said = new Set((this.#slots ?? []).flatMap(({ words }) => words ?? []));
    return this.#words ?? [...said].slice(0, 3).join('; ');
  }

  start(nowMs: number): void {
    const { host, isNumeric, port, transport } = this.#target;
    if (isNumeric || port !== undefined) this.#addressesOfTarget(nowMs);
    else if (transport !== undefined) this.#askServices([{ transport, name: SRV_PREFIX[transport] + host }], nowMs);
    else this.#ask('NAPTR', host, nowMs, (answer, atMs) => this.#handleNaptr(answer, atMs));
  }

  #ask(
    type: 'A' | 'AAAA' | 'SRV' | 'NAPTR',
    name: string,
    nowMs: number,
    then: (answer: Answer, nowMs: number) => void,
  ) {
    this.#options.resolver.ask({ name, type }, nowMs, then);
  }

  /** Failures count as none: there are name servers and firewalls that know no NAPTR. */
  #handleNaptr(answer: Answer, nowMs: number): void {
    const records = answer.kind === 'found' ? answer.records : [];
    const services = records
      .flatMap((record) => ('order' in record ? [record] : []))
      .sort((a, b) => a.order - b.order || a.preference - b.preference)
      .slice(0, NAPTR)
      .flatMap((record) => this.#serviceOf(record) ?? []);
    if (services.length > 0) this.#askServices(services, nowMs, (atMs) => this.#guessServices(atMs));
    else this.#guessServices(nowMs);
  }

  #serviceOf({ flags, services, regexp, replacement }: NaptrRecord): Service | undefined {
    const transport = SERVICES[services.toLowerCase()];
    // "s" says that SRV records come next; "there is no regular expression" in what 4.1 describes.
    if (transport === undefined || flags.toLowerCase() !== 's' || regexp !== '') return undefined;
    return this.#mayUse(transport) ? { transport, name: replacement } : undefined;
  }

  /** "If no NAPTR records are found, the client constructs SRV queries for those transport protocols it supports" */
  #guessServices(nowMs: number): void {
    const transports = TRANSPORTS.filter((transport) => this.#mayUse(transport));
    const services = transports.map((transport) => ({ transport, name: SRV_PREFIX[transport] + this.#target.host }));
    this.#askServices(services, nowMs);
  }

  /** The SRV records of all services, in the order of these; `otherwise` is for when there are none. */
  #askServices(
    services: readonly Service[],
    nowMs: number,
    otherwise: (nowMs: number) => void = (atMs) => this.#addressesOfTarget(atMs),
  ): void {
    const answers: Answer[] = [];
    let missing = services.length;
    if (missing === 0) otherwise(nowMs);
    for (const [i, { name }] of services.entries()) {
      this.#ask('SRV', name, nowMs, (answer, atMs) => {
        answers[i] = answer;
        if (--missing === 0) this.#handleSrv(services, answers, atMs, otherwise);
      });
    }
  }

  #handleSrv(
    services: readonly Service[],
    answers: readonly Answer[],
    nowMs: number,
    otherwise: (nowMs: number) => void,
  ): void {
    const places: Place[] = [];
    const along = new Map<string, readonly AlongAddress[]>();
    let isRefused = false;
    for (const [i, { transport }] of services.entries()) {
      const answer = answers[i]!;
      if (answer.kind !== 'found') continue;
      const records = answer.records.flatMap((record) => ('weight' in record ? [record] : []));
      for (const { target, port } of orderSrv(records, this.#options.crypto)) {
        // "A Target of "." means that the service is decidedly not available at this domain." (RFC 2782)
        if (target === '.') isRefused = true;
        else if (port > 0) places.push({ transport, host: target, port });
      }
      for (const [host, list] of answer.along) along.set(host, list);
    }
    if (places.length > 0) this.#askAddresses(places, nowMs, along);
    else if (isRefused) this.#fail(`${this.#target.host} says that it has no such SIP service`, nowMs);
    else otherwise(nowMs);
  }

  /** No SRV records, or none wanted: the target itself, at the port given or the transport's own (4.2). */
  #addressesOfTarget(nowMs: number): void {
    const { host, isNumeric, port, isSecure } = this.#target;
    const open = TRANSPORTS.find((each) => this.#mayUse(each)) ?? 'udp';
    const transport = this.#target.transport ?? (isSecure ? 'tls' : open);
    const place = { transport, host, port: port ?? DEFAULT_PORT[transport] };
    if (!isNumeric) {
      this.#askAddresses([place], nowMs);
      return;
    }
    const family = host.includes(':') ? 6 : 4;
    if (!this.#options.sends(transport, family)) {
      this.#fail(
        `${host} can't be reached: this server does not send over ${inCapitals(transport)} to IPv${family}`,
        nowMs,
      );
      return;
    }
    this.#slots = [{ place, family, hops: [this.#hop(place, host)] }];
    this.#options.onProgress(nowMs);
  }

  /** IPv4 first, because media is IPv4; a server is asked for IPv6 only where we send to that. */
  #askAddresses(places: readonly Place[], nowMs: number, along?: ReadonlyMap<string, readonly AlongAddress[]>): void {
    const slots: Slot[] = places.flatMap((place) =>
      ([4, 6] as const)
        .filter((family) => this.#options.sends(place.transport, family))
        .map((family) => ({ place, family, hops: undefined })),
    );
    if (slots.length === 0) {
      const transports = [...new Set(places.map(({ transport }) => inCapitals(transport)))].join(', ');
      this.#fail(`${this.#target.host} can't be reached: this server does not send over ${transports}`, nowMs);
      return;
    }
    this.#slots = slots.slice(0, HOPS);
    for (const slot of this.#slots) {
      const { host } = slot.place;
      const type = TYPES[slot.family];
      const known = along?.get(host)?.filter((record) => record.type === type && record.untilMs > nowMs) ?? [];
      if (known.length > 0) slot.hops = this.#hopsOf(slot, known);
    }
    for (const slot of this.#slots) {
      if (slot.hops) continue;
      this.#ask(TYPES[slot.family], slot.place.host, nowMs, (answer, atMs) => {
        const records = answer.kind === 'found' ? answer.records : [];
        slot.hops = this.#hopsOf(
          slot,
          records.flatMap((record) => ('address' in record ? [record] : [])),
        );
        if (slot.hops.length === 0) slot.words = this.#missingWords(slot, answer);
        this.#options.onProgress(atMs);
      });
    }
    this.#options.onProgress(nowMs);
  }

  #hopsOf({ place }: Slot, records: readonly { address: string }[]): Hop[] {
    return records.filter(({ address }) => isUnicast(address)).map(({ address }) => this.#hop(place, address));
  }

  #hop({ transport, host, port }: Place, address: string): Hop {
    return { transport, address, port, name: this.#target.name, host };
  }

  #missingWords({ place: { host, transport } }: Slot, answer: Answer): string {
    if (answer.kind === 'failed') return answer.words;
    const whose = host === this.#target.host ? host : `${host}, which ${this.#target.host} names as its server,`;
    if (answer.kind === 'none' && !answer.nameExists)
      return host === this.#target.host ? `there is no name ${host} in the DNS` : `${whose} does not exist in the DNS`;
    return `${whose} has no ${this.#options.sends(transport, 6) ? 'address' : 'IPv4 address'}`;
  }

  #mayUse(transport: HopTransport): boolean {
    if (this.#target.isSecure && transport !== 'tls') return false;
    return this.#options.sends(transport, 4) || this.#options.sends(transport, 6);
  }

  #fail(words: string, nowMs: number): void {
    this.#words = words;
    this.#options.onProgress(nowMs);
  }
}

function inCapitals(transport: HopTransport): string {
  return transport.toUpperCase();
}
