import { join } from 'node:path';
import { Baresip, type BaresipOptions } from './baresip.ts';
import { type ChromiumOptions, openChromium, openFirefox, type Phone, signIn } from './browser.ts';
import { Linphone, type LinphoneOptions } from './linphone.ts';
import { type Sentence, speak } from './speech.ts';
import { System, type SystemOptions, scratchFolder } from './system.ts';

/** SIP, TLS and control ports, and RTP pairs, of one desk phone. */
const PORTS_EACH = 20;

/** Where phones meet: a scratch folder, what both sides say, phones that are opened on it, and one place that closes all. */
export class Stage {
  readonly folder: string;
  readonly alicesWords: Sentence;
  readonly bobsWords: Sentence;
  readonly #closers: (() => unknown)[] = [];
  /** Below the ports that the system hands out; another run on this machine most likely begins elsewhere. */
  #ports = 10_000 + (process.pid % 100) * 200;

  /** @param folder of somebody else, who removes it. */
  constructor(folder?: string) {
    const own = folder === undefined ? scratchFolder() : undefined;
    if (own) this.#closers.push(() => own.remove());
    this.folder = folder ?? own!.path;
    this.alicesWords = speak('alice', this.folder);
    this.bobsWords = speak('bob', this.folder);
  }

  /** The whole system, until the stage closes. */
  async system(options: Omit<SystemOptions, 'folder'> = {}): Promise<System> {
    return this.#opened(await System.start({ ...options, folder: this.folder }), (system) => system.stop());
  }

  async chromium(words: Sentence, options?: ChromiumOptions): Promise<Phone> {
    return this.#opened(await openChromium(words.path, options), (phone) => phone.close());
  }

  /** A Chromium of its own that says that person's words, signed in at the phone's page. */
  async webPhone(system: System, user: 'alice' | 'bob', options?: ChromiumOptions): Promise<Phone> {
    const phone = await this.chromium(user === 'alice' ? this.alicesWords : this.bobsWords, options);
    await signIn(phone, await system.loginLink(user));
    return phone;
  }

  async firefox(env: NodeJS.ProcessEnv, profile?: string): Promise<Phone> {
    return this.#opened(await openFirefox(env, profile), (phone) => phone.close());
  }

  /** Makes the account and a registered baresip for it. */
  async baresip(
    system: System,
    user: string,
    options: { words: Sentence } & Pick<
      BaresipOptions,
      'codecs' | 'transport' | 'caPath' | 'account' | 'rtcpMux' | 'video'
    > & {
        /** Where it registers, if not at the system's own port. */
        server?: string;
      },
  ): Promise<Baresip> {
    const { words, server, ...rest } = options;
    const password = `pw-${user}-aA1`;
    await system.addUser(user, password);
    const ports = this.freePorts();
    const phone = await Baresip.start({
      ...rest,
      folder: join(this.folder, user),
      user,
      password,
      domain: system.domain,
      server: server ?? `127.0.0.1:${system.ports[options.transport ?? 'udp']}`,
      speechPath: words.longPath,
      ports: { sip: ports, control: ports + 3, rtpMin: ports + 4, rtpMax: ports + PORTS_EACH - 2 },
    });
    return this.#opened(phone, (opened) => opened.stop());
  }

  /** Makes the account and a registered linphonec for it. */
  async linphone(
    system: System,
    user: string,
    words: Sentence,
    options: Pick<LinphoneOptions, 'transport' | 'caPath' | 'encryption' | 'video'> = {},
  ): Promise<Linphone> {
    const password = `pw-${user}-aA1`;
    await system.addUser(user, password);
    const ports = this.freePorts();
    const phone = await Linphone.start({
      ...options,
      folder: join(this.folder, user),
      user,
      password,
      domain: system.domain,
      serverPort: system.ports[options.transport ?? 'udp']!,
      speechPath: words.longPath,
      ports: { sip: ports, rtpMin: ports + 2, rtpMax: ports + PORTS_EACH - 2 },
    });
    return this.#opened(phone, (opened) => opened.stop());
  }

  /** The first of `PORTS_EACH` numbers that nobody else was given. */
  freePorts(): number {
    this.#ports += PORTS_EACH;
    return this.#ports - PORTS_EACH;
  }

  /** Closes what is still open, the last first. */
  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await Promise.allSettled([close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #opened<T>(thing: T, close: (thing: T) => unknown): T {
    this.#closers.push(() => close(thing));
    return thing;
  }
}
