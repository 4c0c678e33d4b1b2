import { signal } from '@preact/signals';
import { type CallSession, isOn } from './call-session.ts';
import type { Message } from './ua/messages.ts';
import { type DialTarget, parseTarget } from './ua/target.ts';

export interface DialerOptions {
  /** Of the account that is signed in. */
  readonly domain: () => string | undefined;
  readonly call: () => CallSession | undefined;
  /** Rings that target; false when it never came to a call. */
  readonly place: (target: DialTarget, video: boolean) => Promise<boolean>;
  readonly keySound: (key: string) => void;
  readonly tell: (message: Message | undefined) => void;
  /** Takes away what the last call left on the page. */
  readonly dismiss: () => void;
}

/** The number being typed, the keys, and what was called last. */
export class Dialer {
  readonly input = signal('');
  readonly #options: DialerOptions;
  #lastLabel = '';
  #wanted: { text: string; video: boolean } | undefined;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  /** Calls what was typed, or brings the last number back when nothing was. */
  async dial(video = false, text = this.input.value): Promise<void> {
    const domain = this.#options.domain();
    if (domain === undefined || isOn(this.#options.call())) return;
    const target = parseTarget(text, domain);
    switch (target.kind) {
      case 'empty':
        this.input.value = this.#lastLabel;
        return;
      case 'unusable':
        this.#options.tell({ tone: 'problem', title: 'That cannot be called', detail: target.words });
        return;
      case 'target':
        this.#wanted = { text, video };
        if (!(await this.#options.place(target, video))) return;
        this.#lastLabel = target.label;
        this.input.value = '';
        return;
      default:
        target satisfies never;
    }
  }

  /** Once more what was wanted last, after what stood in its way was mended. */
  async again(change: { video?: boolean } = {}): Promise<void> {
    const wanted = this.#wanted;
    if (wanted) await this.dial(change.video ?? wanted.video, wanted.text);
  }

  /** A key of the pad: dials while idle, sends a tone in a call. */
  press(key: string): void {
    this.#options.keySound(key);
    const call = this.#options.call();
    if (call?.phase.value === 'active') {
      if (!call.sendTone(key))
        this.#options.tell({
          tone: 'problem',
          title: 'The other side takes no key tones',
          detail: 'The call goes on.',
        });
    } else if (!isOn(call)) {
      this.#options.dismiss();
      this.input.value += key;
    }
  }

  type(text: string): void {
    if (/^[0-9*#]$/.test(text)) {
      this.press(text);
      return;
    }
    this.#options.dismiss();
    this.input.value += text;
  }

  backspace(): void {
    this.input.value = this.input.value.slice(0, -1);
  }
}
