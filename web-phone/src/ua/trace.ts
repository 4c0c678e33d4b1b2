/** The last messages of this phone, kept for “copy diagnostics”, with everything secret taken out on the way in. */
export class Trace {
  readonly #lines: string[] = [];
  readonly #limit: number;

  constructor(limit = 200) {
    this.#limit = limit;
  }

  add(at: Date, direction: 'sent' | 'received' | 'note', text: string): void {
    if (/^CSeq\s*:\s*\d+\s+PUBLISH/im.test(text)) return; // how a call sounds, each 10 s: it would push out how it began
    if (this.#lines.length >= this.#limit) this.#lines.shift();
    this.#lines.push(`${at.toISOString()} ${direction}\n${redact(text)}`);
  }

  text(): string {
    return this.#lines.join('\n\n');
  }
}

/** Removes credentials (digest answers, tokens, ICE passwords, SDES keys) and what people write to each other. */
export function redact(text: string): string {
  return withoutText(text)
    .replace(/^((?:Proxy-)?Authorization\s*:\s*).*$/gim, '$1[removed]')
    .replace(/^(a=ice-pwd:).*$/gim, '$1[removed]')
    .replace(/^(a=crypto:\d+ \S+ ).*$/gim, '$1[removed]')
    .replace(/(offhook\.session\.)[\w.~-]+/g, '$1[removed]')
    .replace(/([#&?]login=)[\w.~-]+/g, '$1[removed]');
}

function withoutText(message: string): string {
  const body = message.indexOf('\r\n\r\n') + 4;
  return message.startsWith('MESSAGE ') && body > 3 ? `${message.slice(0, body)}[text removed]` : message;
}
