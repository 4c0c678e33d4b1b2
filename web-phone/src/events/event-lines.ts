export interface StreamEvent {
  readonly name: string;
  readonly data: string;
  /** Of the last event that had one. */
  readonly id: string;
}

/** A line longer than that is no event of ours. */
const MAX_LENGTH = 256 * 1024;

/** Server-sent events as they come in pieces (WHATWG HTML 9.2.6). Pure: give it text, take the events that are whole. */
export class EventLines {
  #rest = '';
  #name = '';
  #data: string[] = [];
  #id = '';
  #length = 0;

  /** @returns undefined when the other side sends too much at once */
  handleText(text: string): StreamEvent[] | undefined {
    const whole = this.#rest + text;
    // A CR at the end may be the first half of a CRLF.
    const held = whole.endsWith('\r') ? 1 : 0;
    const lines = whole.slice(0, whole.length - held).split(/\r\n|\n|\r/);
    this.#rest = lines.pop()! + (held ? '\r' : '');
    if (this.#rest.length > MAX_LENGTH) return undefined;
    const events: StreamEvent[] = [];
    for (const line of lines) {
      this.#length += line.length;
      if (this.#length > MAX_LENGTH) return undefined;
      if (line !== '') this.#field(line);
      else this.#dispatch(events);
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#name = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
  }

  #dispatch(events: StreamEvent[]): void {
    if (this.#data.length > 0)
      events.push({ name: this.#name || 'message', data: this.#data.join('\n'), id: this.#id });
    this.#name = '';
    this.#data = [];
    this.#length = 0;
  }
}
