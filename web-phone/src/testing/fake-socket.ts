/** A WebSocket whose server side is the test. */
export class FakeSocket {
  readonly protocols: readonly string[];
  readonly sent: string[] = [];
  open = false;
  closedByPage = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(protocols: readonly string[]) {
    this.protocols = protocols;
  }

  get socket(): WebSocket {
    return this as unknown as WebSocket;
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.closedByPage = true;
  }

  accept(): void {
    this.open = true;
    this.onopen?.();
  }

  receive(text: string): void {
    this.onmessage?.({ data: text });
  }

  lose(): void {
    this.onclose?.({ code: 1006 });
  }

  /** The newest request of this method the page sent over this socket. */
  last(method: string): string {
    const found = this.sent.findLast((text) => text.startsWith(`${method} `));
    if (!found)
      throw new Error(`no ${method} was sent; sent: ${this.sent.map((t) => t.split('\r\n', 1)[0]).join(' | ')}`);
    return found;
  }

  has(method: string): boolean {
    return this.sent.some((text) => text.startsWith(`${method} `));
  }

  /** Answers a request the way a server would. */
  answer(request: string, status: number, reason: string, more: { headers?: string[]; body?: string } = {}): void {
    const lines = request.split('\r\n\r\n', 1)[0]!.split('\r\n');
    const copied = lines
      .filter((line) => /^(via|from|to|call-id|cseq):/i.test(line))
      .map((line) => (/^to:/i.test(line) && !/;tag=/.test(line) ? `${line};tag=server` : line));
    this.receive(message(`SIP/2.0 ${status} ${reason}`, [...copied, ...(more.headers ?? [])], more.body));
  }
}

export function message(first: string, headers: readonly string[], body = ''): string {
  const length = `Content-Length: ${new TextEncoder().encode(body).length}`;
  const isTyped = !body || headers.some((header) => /^content-type:/i.test(header));
  return [first, ...headers, ...(isTyped ? [] : ['Content-Type: application/sdp']), length, '', body].join('\r\n');
}

export function headerOf(text: string, name: string): string {
  return new RegExp(`^${name}: *(.*)$`, 'im').exec(text)?.[1]?.trim() ?? '';
}
