import { Transport } from '../forward/index.ts';

/** All transports of a worker by their small id; ids are used again. */
export class TransportTable {
  readonly #byId: (Transport | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#byId.length - this.#free.length;
  }

  at(id: number): Transport | undefined {
    return this.#byId[id];
  }

  /** @param plainFamily of the transport's own ports; undefined when it lives on the mux ports. */
  open(plainFamily: 4 | 6 | undefined): Transport {
    const id = this.#free.pop() ?? this.#byId.length;
    const transport = new Transport(id, plainFamily);
    this.#byId[id] = transport;
    return transport;
  }

  close(transport: Transport): void {
    if (this.#byId[transport.id] !== transport) return;
    this.#byId[transport.id] = undefined;
    this.#free.push(transport.id);
  }
}
