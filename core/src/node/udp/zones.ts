/** Link-local sources whose zone is remembered; the oldest gives way. */
const MOST = 256;

/** The zones (RFC 4007) that link-local addresses were heard from: what is answered there has to name them. */
export class Zones<Zone> {
  readonly #byAddress = new Map<string, Zone>();

  note(address: string, zone: Zone): void {
    this.#byAddress.delete(address);
    if (this.#byAddress.size >= MOST) this.#byAddress.delete(this.#byAddress.keys().next().value!);
    this.#byAddress.set(address, zone);
  }

  of(address: string): Zone | undefined {
    return this.#byAddress.get(address);
  }
}
