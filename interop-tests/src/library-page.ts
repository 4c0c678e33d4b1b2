import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { anotherPage, type Phone } from './browser.ts';
import type { InPagePhone, JsSipPhone, LibraryAccount } from './in-page/library-phone.ts';
import { waitUntil } from './system.ts';

const PAGE =
  '<!doctype html><title>A phone of another maker</title><link rel="icon" href="data:,"><script type="module" src="/phone.js"></script>';

/** Serves the page with JsSIP and SIP.js on loopback: an origin that the server under test has to be told of. */
export class LibraryPage {
  /** `http://localhost:<port>` */
  readonly origin: string;
  readonly close: () => Promise<void>;

  private constructor(origin: string, close: () => Promise<void>) {
    this.origin = origin;
    this.close = close;
  }

  static async serve(): Promise<LibraryPage> {
    const script = await bundle();
    const server = createServer(({ url }, response) => {
      const isScript = url === '/phone.js';
      response.setHeader('Content-Type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
      response.end(isScript ? script : PAGE);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new LibraryPage(`http://localhost:${(server.address() as AddressInfo).port}`, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  }

  /** A page of its own in the browser of `host`, where the phone is registered when this resolves. */
  async phone(host: Phone, account: LibraryAccount): Promise<LibraryPhone> {
    const phone = new LibraryPhone(account.user, await anotherPage(host));
    await phone.page.goto(this.origin);
    await phone.page.evaluate((its) => window.openPhone(its), account);
    await phone.ask('register');
    return phone;
  }
}

type Verbs = Omit<InPagePhone, 'peerConnections'> & Omit<JsSipPhone, 'peerConnections'>;

/** A phone in a page, and what goes over its WebSocket. */
export class LibraryPhone implements Phone {
  readonly user: string;
  readonly page: Phone['page'];
  readonly errors: string[];
  readonly close: () => Promise<void>;
  readonly #received: string[] = [];

  constructor(user: string, { page, errors, close }: Phone) {
    this.user = user;
    this.page = page;
    this.errors = errors;
    this.close = close;
    page.on('websocket', (socket) => {
      socket.on('framereceived', ({ payload }) => this.#received.push(payload.toString()));
    });
  }

  /** Has the phone do one of its verbs; a digit, hold, resume and refer are JsSIP's alone. */
  ask<V extends keyof Verbs>(verb: V, ...args: Parameters<Verbs[V]>): Promise<void> {
    return this.page.evaluate(
      ([name, given]) => {
        const phone = window.libraryPhone as unknown as Record<string, (...args: readonly unknown[]) => Promise<void>>;
        return phone[name]!(...given);
      },
      [verb, args] as const,
    );
  }

  /** Waits for a 200 to a request of this method that hasn't been taken yet, and takes it. */
  accepted(method: string): Promise<void> {
    const words = new RegExp(`^SIP/2.0 200 [^]*\\r\\nCSeq: *\\d+ ${method}\\r\\n`, 'i');
    return waitUntil(`${method} is answered by 200`, async () => {
      const at = this.#received.findIndex((message) => words.test(message));
      if (at < 0) return false;
      this.#received.splice(0, at + 1);
      return true;
    });
  }
}

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      lib: { entry: fileURLToPath(new URL('./in-page/library-phone.ts', import.meta.url)), formats: ['es'] },
    },
  });
  const [bundled] = Array.isArray(built) ? built : [built];
  if (!bundled || !('output' in bundled)) throw new Error('vite made no bundle');
  return bundled.output[0].code;
}
