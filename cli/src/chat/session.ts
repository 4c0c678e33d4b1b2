import { MachineTimer, monotonicMs, nodeCrypto } from '@offhook/core/node';
import { type Person, parsePerson } from './address.ts';
import { ChatAgent, type ChatEvent } from './agent.ts';
import { nobodyWords } from './answers.ts';
import type { Console, ConsoleEvents } from './console.ts';
import type { History } from './history.ts';
import { shownName } from './plain-text.ts';
import { type Presence, presenceWords } from './presence.ts';
import type { Account } from './registration.ts';
import { inJson, inLines, type Shown } from './shown.ts';
import { COMMAND_HELP, parseTyped, type Typed } from './typed.ts';
import { NOT_YET, type Watch } from './watch.ts';
import { Wire, type WireOptions } from './wire.ts';

/** People of earlier talks who are followed from the start. */
const FOLLOWED = 10;
const LATELY = 20;
/** Texts on their way beyond which a script has to wait. */
const ROOM = 50;
/** Joined lines of one text. */
const MAX_JOINED = 100;

export interface SessionOptions {
  readonly account: Account;
  readonly wire: WireOptions;
  readonly history: History;
  readonly to: Person | undefined;
  readonly isJson: boolean;
  readonly open: (events: ConsoleEvents) => Console;
  /** What helps when the server does not take the password. */
  readonly refusedHint: string;
}

/** One chat from sign-in to farewell: agent, wire and console in one. */
export class Session {
  readonly #options: SessionOptions;
  readonly #agent: ChatAgent;
  readonly #wire: Wire;
  readonly #timer: MachineTimer;
  readonly #console: Console;
  #to: Person | undefined;
  #exitCode = 0;
  #wasRegistered = false;
  /** The server can't be reached; not yet while the first registration is under way. */
  #isAway = false;
  #joined: string[] = [];
  /** No more lines come; the last texts decide when it ends. */
  #isEnding = false;
  #isStopped = false;
  #wakeReader: (() => void) | undefined;
  #ended: () => void = () => {};
  /** Kept when everything is over; the exit code. */
  readonly done: Promise<number>;

  constructor(options: SessionOptions) {
    this.#options = options;
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.resolve;
    this.done = ended.promise.then(() => this.#exitCode);
    this.#agent = new ChatAgent({ account: options.account, crypto: nodeCrypto }, monotonicMs());
    this.#timer = new MachineTimer((nowMs) => this.#run(() => this.#agent.handleTimeout(nowMs)));
    this.#wire = new Wire(options.wire, {
      opened: (flow) => this.#run(() => this.#agent.handleOpened(flow, monotonicMs())),
      closed: (flow, words) => this.#run(() => this.#agent.handleClosed(flow, words, monotonicMs())),
      received: (bytes, flow) => this.#run(() => this.#agent.handleReceived(bytes, flow, monotonicMs(), Date.now())),
    });
    this.#console = options.open({
      line: (line) => this.#line(line),
      end: () => {
        this.#isEnding = true;
        if (this.#console.isInteractive) this.stop();
        else this.#run(() => {});
      },
    });
    if (options.history.trouble !== undefined) this.#note(options.history.trouble);
    const { domain } = options.account;
    for (const name of options.history.people().slice(0, FOLLOWED)) {
      const person = parsePerson(name, domain);
      if (person) this.#agent.watch(person, monotonicMs());
    }
    if (options.to) this.#talkTo(options.to);
    else this.#console.prompt('> ');
    this.#run(() => this.#agent.handleTimeout(monotonicMs()));
  }

  /** Says farewell; a second call changes nothing. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#wakeReader?.();
    const open = this.#agent.openTexts;
    if (open > 0) this.#note(open === 1 ? 'one text was not sent' : `${open} texts were not sent`);
    if (open > 0) this.#exitCode = 1;
    this.#run(() => this.#agent.stop(monotonicMs()));
  }

  /** Every input ends here: commands are drained, then the timer is set. */
  #run(input: () => void): void {
    input();
    for (let command = this.#agent.poll(); command; command = this.#agent.poll()) {
      if (command.kind === 'send') this.#wire.send(command.bytes, command.flow);
      else if (command.kind === 'connect') void this.#wire.open();
      else if (command.kind === 'disconnect') this.#wire.drop(command.flow);
      else if (command.kind === 'event') this.#heard(command.event);
      else {
        this.#timer.arm(undefined);
        this.#wire.close();
        this.#console.close();
        this.#ended();
        return;
      }
    }
    this.#timer.arm(this.#agent.nextTimeout());
    if (this.#agent.openTexts < ROOM) this.#wakeReader?.();
    if (this.#isEnding && !this.#isStopped && this.#wasRegistered && this.#agent.openTexts === 0) this.stop();
  }

  #heard(event: ChatEvent): void {
    const { history } = this.#options;
    switch (event.kind) {
      case 'text': {
        const { from, text, displayName, sentAtMs, id } = event.received;
        const sent = new Date(sentAtMs ?? Date.now()).toISOString();
        const { name } = from;
        this.#show({
          kind: 'text',
          from: name,
          name: displayName,
          text,
          sent: sentAtMs === undefined ? undefined : sent,
        });
        this.#remember({ id: `in ${id}`, at: sent, with: name, own: false, text });
        this.#agent.watch(from, monotonicMs());
        if (!this.#to) {
          this.#talkTo(from);
          if (this.#console.isInteractive) this.#note(`what you type goes to ${name} now; /to changes it`);
        }
        return;
      }
      case 'delivery': {
        const { sent, words } = event;
        const { id, to, text, state } = sent;
        if (state !== 'waiting' || this.#isAway)
          this.#show({ kind: 'delivery', id, to: to.name, text, state, words: words || undefined });
        if (state === 'failed') this.#exitCode = this.#console.isInteractive ? 0 : 1;
        if (state !== 'waiting' && state !== 'sending')
          this.#remember({ id, at: new Date(sent.atMs).toISOString(), with: to.name, own: true, text, state });
        if (sent.isNobody) this.#options.history.noteGone(to.name);
        return;
      }
      case 'receipt': {
        const known = history.find(event.receipt.messageId);
        if (!known?.own || known.state === event.receipt.outcome) return;
        const { outcome: state } = event.receipt;
        const { id, text } = known;
        this.#show({ kind: 'delivery', id, to: known.with, text, state });
        this.#remember({ ...known, state });
        return;
      }
      case 'presence': {
        const { person, isNobody } = event;
        if (isNobody) history.noteGone(person.name);
        this.#showPresence(event);
        return;
      }
      case 'standing':
        this.#stands(event.standing);
        return;
      case 'note':
        this.#note(event.words);
        return;
      default:
        event satisfies never;
    }
  }

  #stands(standing: Extract<ChatEvent, { kind: 'standing' }>['standing']): void {
    const { account, wire } = this.#options;
    if (standing.kind === 'registered') {
      const again = this.#wasRegistered ? ' again' : '';
      const where = `${wire.host}${wire.port === undefined ? '' : `:${wire.port}`} (${wire.transport})`;
      const hint = this.#console.isInteractive && again === '' ? '; /help says what can be typed' : '';
      this.#wasRegistered = true;
      this.#isAway = false;
      const words = `signed in${again} as ${account.user}@${account.domain} at ${where}${hint}`;
      this.#show({ kind: 'standing', registered: true, words });
      return;
    }
    const { isRefused, retryMs, words } = standing;
    const isLast = !this.#wasRegistered && (isRefused || !this.#console.isInteractive);
    const seconds = Math.max(1, Math.round(retryMs / 1000));
    const state =
      isRefused || !this.#wasRegistered ? 'not signed in' : this.#isAway ? 'still no connection' : 'connection lost';
    // each try is said: whoever hears nothing would believe that none is made
    const next = isLast ? (isRefused ? `; ${this.#options.refusedHint}` : '') : `; trying again in ${seconds} s`;
    this.#show({ kind: 'standing', registered: false, words: `${state}: ${words}${next}` });
    const waiting = this.#isAway ? 0 : this.#agent.openTexts;
    this.#isAway = true;
    if (!isLast) {
      if (waiting > 0)
        this.#note(`${waiting === 1 ? 'one text waits' : `${waiting} texts wait`} until the server is there`);
      return;
    }
    this.#exitCode = 1;
    queueMicrotask(() => this.stop());
  }

  #line(line: string): Promise<void> | void {
    if (this.#isStopped) return;
    if (line.endsWith('\\') && this.#joined.length < MAX_JOINED) {
      this.#joined.push(line.slice(0, -1));
      this.#console.prompt('… ');
      return;
    }
    const whole = [...this.#joined, line].join('\n');
    if (this.#joined.length > 0) {
      this.#joined = [];
      this.#promptAgain();
    }
    this.#run(() => this.#typed(parseTyped(whole)));
    if (this.#agent.openTexts < ROOM) return;
    return new Promise((resolve) => {
      this.#wakeReader = () => {
        this.#wakeReader = undefined;
        resolve();
      };
    });
  }

  #typed(typed: Typed): void {
    const nowMs = monotonicMs();
    switch (typed.kind) {
      case 'nothing':
        return;
      case 'text': {
        if (!this.#to) {
          this.#mistake('to whom? /to bob says it, then type');
          return;
        }
        const sent = this.#agent.send(this.#to, typed.text, nowMs, Date.now());
        if (typeof sent === 'string') this.#mistake(`not sent: ${sent}`);
        return;
      }
      case 'to':
      case 'who': {
        if (typed.who === undefined) {
          this.#who();
          return;
        }
        const person = parsePerson(typed.who, this.#options.account.domain);
        if (!person) this.#mistake(`'${typed.who}' is no address: bob, or bob@example.org`);
        else if (typed.kind === 'to') this.#talkTo(person);
        else this.#follow(person);
        return;
      }
      case 'status':
        this.#agent.setStatus(typed.status, typed.note, nowMs);
        this.#showStatus();
        return;
      case 'show-status':
        this.#showStatus();
        return;
      case 'history':
        this.#showHistory(typed.who);
        return;
      case 'forget':
        this.#forget(typed.who);
        return;
      case 'help':
        this.#note(COMMAND_HELP.join('\n'));
        return;
      case 'quit':
        this.stop();
        return;
      case 'mistake':
        this.#mistake(typed.words);
        return;
      default:
        typed satisfies never;
    }
  }

  #talkTo(person: Person): void {
    this.#to = person;
    this.#agent.watch(person, monotonicMs());
    this.#promptAgain();
  }

  #forget(who: string): void {
    const person = parsePerson(who, this.#options.account.domain);
    const name = person?.name ?? who;
    const before = this.#options.history.trouble;
    const count = this.#options.history.forget(name);
    this.#sayTrouble(before);
    if (person) this.#agent.unwatch(person, monotonicMs());
    if (this.#to?.name === name) this.#to = undefined;
    this.#promptAgain();
    this.#note(`${name} is forgotten${count === 0 ? '' : `, with ${count === 1 ? 'one text' : `${count} texts`}`}`);
  }

  #promptAgain(): void {
    this.#console.prompt(this.#to ? `${shownName(this.#to.name)}> ` : '> ');
  }

  /** With a name: from now on; what is known already is said at once, the rest as it comes. */
  #follow(person: Person): void {
    const known = this.#agent.watches.find((one) => one.person.name === person.name);
    if (!known && !this.#agent.watch(person, monotonicMs())) this.#mistake('too many people are followed already');
    if (!known) return;
    if (!this.#agent.isRegistered) this.#note('not connected; when last seen:');
    else if (known.isNobody) {
      this.#agent.watch(person, monotonicMs()); // may be there by now: the answer says
      return;
    }
    this.#showPresence(known);
  }

  #who(): void {
    const { watches } = this.#agent;
    if (watches.length === 0) this.#note('nobody is followed yet: /who bob, or write to somebody');
    else if (!this.#agent.isRegistered) this.#note('not connected; when last seen:');
    for (const one of watches) this.#showPresence(one);
  }

  /** How somebody is; without a connection how it was: a program is told no `isThere` then. */
  #showPresence({
    person,
    presence,
    words,
    isNobody,
  }: Pick<Watch, 'person' | 'words' | 'isNobody'> & { readonly presence?: Presence | undefined }): void {
    const isNow = this.#agent.isRegistered;
    const verb = isNow ? 'is' : 'was';
    const said = presence
      ? `${verb} ${presenceWords(presence)}`
      : isNobody
        ? nobodyWords(person.name, words)
        : words === NOT_YET
          ? 'is not known yet'
          : `can’t be seen: ${words}`;
    const isThere = isNow ? presence?.isThere : undefined;
    this.#show({ kind: 'presence', who: person.name, words: said, isThere, isNobody: isNobody || undefined });
  }

  #showStatus(): void {
    const { status, note } = this.#agent.status;
    this.#note(`others see you as ${status}${note === '' ? '' : `: ${note}`}`);
  }

  #showHistory(who: string | undefined): void {
    const name = who === undefined ? undefined : (parsePerson(who, this.#options.account.domain)?.name ?? who);
    const texts = this.#options.history.texts(name).slice(-LATELY);
    if (texts.length === 0) this.#note(`nothing was written${who === undefined ? '' : ` with ${who}`} yet`);
    for (const { at, own, text, state, ...one } of texts)
      this.#show({ kind: 'history', sent: at, with: one.with, own, text, state });
  }

  #remember(one: Parameters<History['note']>[0]): void {
    const { history } = this.#options;
    const before = history.trouble;
    history.note(one);
    this.#sayTrouble(before);
  }

  #sayTrouble(before: string | undefined): void {
    const { trouble } = this.#options.history;
    if (trouble !== undefined && trouble !== before) this.#note(trouble);
  }

  #mistake(words: string): void {
    if (!this.#console.isInteractive) this.#exitCode = 1;
    this.#note(words);
  }

  #note(words: string): void {
    this.#show({ kind: 'note', words });
  }

  #show(shown: Shown): void {
    const now = new Date();
    this.#console.say(this.#options.isJson ? [inJson(shown, now)] : inLines(shown, now, this.#console.columns));
  }
}
