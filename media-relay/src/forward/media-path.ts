import type { Transport } from './transport.ts';

/**
 * One m= section of one leg, as far as packets are concerned. Its transport knows where what it carries goes without asking
 * its paths, so it is told of each change here.
 */
export class MediaPath {
  #transport: Transport | undefined;
  #peer: this | undefined;
  /** The section's place in the SDP. */
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }

  /** What carries it; undefined when the section is rejected. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  set transport(transport: Transport | undefined) {
    this.#transport = transport;
    transport?.relink();
    this.#peer?.transport?.relink();
  }

  /** Where its packets go: the same section of the other leg, or itself (echo). */
  get peer(): this | undefined {
    return this.#peer;
  }

  set peer(peer: this | undefined) {
    this.#peer = peer;
    this.#transport?.relink();
  }
}
