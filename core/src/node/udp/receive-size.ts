import { BATCH } from './port.ts';

/**
 * How many packets a socket with one flow is asked for. To find out that no more wait costs the system a second try, a
 * packet left behind costs another wake-up: it begins with one; when it gave all it was asked for and is ready again in the
 * next pass over all sockets it is asked for four times as many, and for half as many whenever half would have done.
 *
 *     waiting   1   1   10 at once      10 at once   10   1    1   1   1   1
 *     asked     1   1   1, 4, 16        8, 32        16   16   8   4   2   1
 */
export class ReceiveSize {
  packets = 1;
  #fullPass = -2;

  /** Packets to ask for in this pass. */
  in(pass: number): number {
    if (pass - this.#fullPass <= 1) this.packets = Math.min(BATCH, this.packets * 4);
    return this.packets;
  }

  /** It gave so many; whether it may have more. */
  observe(received: number, pass: number): boolean {
    if (received === this.packets) {
      this.#fullPass = pass;
      return true;
    }
    this.#fullPass = -2;
    if (received * 2 <= this.packets) this.packets = Math.max(1, this.packets >> 1);
    return false;
  }
}
