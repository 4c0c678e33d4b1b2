import type { System } from './system.ts';

type Told = Readonly<Record<string, unknown>>;

/** What `GET /api/events` tells an account, as a program of its own reads it. */
export class EventStream implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #told: Told[] = [];
  readonly #ended: Promise<void>;
  #wake = (): void => {};

  private constructor(response: (signal: AbortSignal) => Promise<Response>) {
    this.#ended = this.#read(response(this.#abort.signal));
    this.#ended.catch(() => {});
  }

  static async open(system: System, user: string): Promise<EventStream> {
    const token = new URLSearchParams(new URL(await system.loginLink(user)).hash.slice(1)).get('login');
    const login = await fetch(`${system.httpUrl}/api/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: system.httpUrl },
      body: JSON.stringify({ token }),
    });
    const { session } = (await login.json()) as { session: string };
    const headers = { authorization: `Bearer ${session}` };
    return new EventStream((signal) => fetch(`${system.httpUrl}/api/events`, { headers, signal }));
  }

  /** The first event with these fields; those before it are forgotten. */
  async next(fields: Told, timeoutMs: number): Promise<Told> {
    const late = new Promise<never>((_, reject) => {
      const words = `not told within ${timeoutMs} ms: ${JSON.stringify(fields)}`;
      AbortSignal.timeout(timeoutMs).onabort = () => reject(new Error(words));
    });
    late.catch(() => {});
    for (;;) {
      for (let told = this.#told.shift(); told; told = this.#told.shift())
        if (Object.entries(fields).every(([name, value]) => told![name] === value)) return told;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, late, this.#ended]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#ended.catch(() => {});
  }

  async #read(opening: Promise<Response>): Promise<never> {
    const response = await opening;
    if (!response.ok || !response.body) throw new Error(`/api/events: ${response.status}`);
    let text = '';
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const events = text.split('\n\n');
      text = events.pop()!;
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (data) this.#told.push(JSON.parse(data) as Told);
      }
      this.#wake();
    }
    throw new Error('the stream of events has ended');
  }
}
