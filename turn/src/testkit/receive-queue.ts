import type { Received } from './world.ts';

/** Nothing on loopback takes longer. */
const PATIENCE_MS = 2000;

/** What a test socket received and nobody has asked for yet. */
export class ReceiveQueue {
  readonly #got: Received[] = [];
  #wake: (() => void) | undefined;

  push(received: Received): void {
    this.#got.push(received);
    this.#wake?.();
  }

  /** The next one, or undefined when none comes. */
  async receive(): Promise<Received | undefined> {
    if (this.#got.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, PATIENCE_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    return this.#got.shift();
  }
}
