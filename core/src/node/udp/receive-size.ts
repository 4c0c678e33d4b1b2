import { BATCH } from './port.ts';

/** So often in a row it was asked for many times what it had before it is asked for fewer. */
const SMALL_TIMES = 4;

/**
 * How many packets a socket with one flow is asked for. To find out that no more wait costs the system a second try, a
 * packet left behind costs another look at all sockets: it begins with one; when it gave all it was asked for and is ready
 * again in the next pass over all sockets it is asked for four times as many, and for half as many when it had much less
 * several times in a row. So a voice stream is asked for one, and one of video for its bursts.
 *
 *     waiting   1   1   10 at once    10   10   1    1    1    1   1 …
 *     asked     1   1   1, 4, 16      16   16   16   16   16   16  8 …
 */
export class ReceiveSize {
  packets = 1;
  #fullPass = -2;
  #small = 0;

  /** Packets to ask for in this pass. */
  in(pass: number): number {
    if (pass - this.#fullPass <= 1) this.packets = Math.min(BATCH, this.packets * 4);
    return this.packets;
  }

  /** It was asked for that many (at most `packets`) and gave so many; whether it may well have more. Of one that is asked for one, nobody knows. */
  observe(received: number, asked: number, pass: number): boolean {
    const { packets } = this;
    if (received >= asked) {
      this.#fullPass = pass;
      this.#small = 0;
      return asked > 1;
    }
    this.#fullPass = -2;
    const isSmall = received * (packets > 4 ? 4 : 2) <= packets;
    this.#small = isSmall ? this.#small + 1 : 0;
    if (this.#small < SMALL_TIMES) return false;
    this.#small = 0;
    this.packets = Math.max(1, packets >> 1);
    return false;
  }
}
