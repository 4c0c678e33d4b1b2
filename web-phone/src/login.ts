import { type Signal, signal } from '@preact/signals';
import { type Account, type Credentials, signInProblem } from './account.ts';
import type { Session } from './session.ts';
import { type Message, signInWords, stillSignedInWords, switchWords } from './ua/messages.ts';

export interface LoginOptions {
  readonly account: Pick<Account, 'stored' | 'last' | 'login' | 'logout' | 'probe' | 'drop'>;
  /** The session this tab works with now; undefined once the server has ended it. */
  readonly current: () => Session | undefined;
  /** This page gets no microphone: a login link would be wasted on it. */
  readonly useless: () => boolean;
  readonly enter: (session: Session) => Promise<void>;
  readonly showForm: () => void;
  readonly tell: (message: Message | undefined) => void;
}

/** How somebody gets in: by a link, by name and password, or by carrying on where this browser left off. */
export class Login {
  readonly busy = signal(false);
  /** A link of another account was opened in this tab: shall it change over? */
  readonly offer: Signal<Session | undefined> = signal(undefined);
  /** The token of a link that was not used up, because another page needs it. */
  readonly held: Signal<string | undefined> = signal(undefined);
  readonly #options: LoginOptions;

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /** @param token of the login link by which the page was opened */
  async start(token: string | undefined): Promise<void> {
    if (token) await this.open(token);
    else await this.#carryOn();
  }

  /** A login link was opened in this tab, with the page or while it was open. */
  async open(token: string): Promise<void> {
    const { current, useless } = this.#options;
    const session = current();
    if (useless()) {
      this.held.value = token;
      if (!session) await this.#carryOn();
    } else if (session) await this.#changeOver(session, token);
    else await this.signIn({ token });
  }

  async signIn(credentials: Credentials): Promise<void> {
    const { account, enter, tell } = this.#options;
    const byLink = 'token' in credentials;
    if (!byLink && (credentials.user === '' || credentials.password === '')) {
      tell(signInWords('empty'));
      return;
    }
    this.busy.value = true;
    tell(undefined);
    try {
      await enter(await account.login(credentials));
    } catch (error) {
      const problem = signInProblem(error, byLink);
      // A login link opened twice need not throw its owner out.
      const kept = byLink ? await this.#carryOn() : undefined;
      tell(kept && problem === 'link-used' ? stillSignedInWords(kept.displayName) : signInWords(problem));
    } finally {
      this.busy.value = false;
    }
  }

  /** Takes the offer: from now on this tab is the other account's. */
  async changeOver(): Promise<void> {
    const session = this.offer.value;
    this.offer.value = undefined;
    if (session) await this.#options.enter(session);
  }

  dropOffer(): void {
    const session = this.offer.value;
    this.offer.value = undefined;
    if (session) void this.#options.account.logout(session);
  }

  /** Enters with the session this tab holds, else with the last one of this browser; the form when there is none. */
  async #carryOn(): Promise<Session | undefined> {
    const { account, enter, showForm } = this.#options;
    const own = account.stored();
    if (own) {
      await enter(own);
      return own;
    }
    const last = account.last();
    if (last && (await account.probe(last)) !== 'expired') {
      await enter(last);
      return last;
    }
    if (last) account.drop(last);
    showForm();
    return undefined;
  }

  async #changeOver(current: Session, token: string): Promise<void> {
    const { account, tell } = this.#options;
    try {
      const session = await account.login({ token });
      this.dropOffer();
      if (session.user !== current.user) {
        this.offer.value = session;
        return;
      }
      void account.logout(session);
      tell({ tone: 'info', title: `You are signed in as ${current.displayName} already` });
    } catch (error) {
      tell(signInWords(signInProblem(error, true)));
    }
  }
}

/** What is asked while there is an offer. */
export function offerWords(login: Login, current: Session | undefined): Message | undefined {
  const offered = login.offer.value;
  return offered && current ? switchWords(offered.displayName, current.displayName) : undefined;
}
