import type { Baresip } from './baresip.ts';
import { answer, click, dial, type Phone, recordRemote, settle, waitForCall } from './browser.ts';
import type { Linphone } from './linphone.ts';
import { middle } from './proof.ts';
import type { Sentence } from './speech.ts';
import type { Sound } from './wav.ts';

const HEARD_S = 5;

/** A phone of whatever make, as the person at it uses it. */
export interface Party {
  /** Its account. */
  readonly user: string;
  readonly words: Sentence;
  call(user: string): Promise<unknown>;
  /** Takes the call that rings, or is about to. */
  answer(): Promise<unknown>;
  talks(): Promise<unknown>;
  /** What it hears in the next five seconds or so. */
  hear(): Promise<Sound>;
  hangUp(): Promise<unknown>;
  /** Its call is over. */
  over(): Promise<unknown>;
  readonly hold?: () => Promise<unknown>;
  readonly resume?: () => Promise<unknown>;
  /** Sends its description again, by re-INVITE; the final status of that. */
  readonly offerAgain?: () => Promise<number>;
}

export function webParty(user: string, words: Sentence, phone: Phone): Party {
  return {
    user,
    words,
    call: (to) => dial(phone, to),
    answer: () => answer(phone),
    talks: () => waitForCall(phone, 'active'),
    hear: async () => {
      await settle(phone);
      return recordRemote(phone, HEARD_S + 1);
    },
    hangUp: () => click(phone, 'hangup'),
    over: () => waitForCall(phone, 'idle'),
  };
}

export function baresipParty(user: string, words: Sentence, domain: string, phone: Baresip): Party {
  return {
    user,
    words,
    call: (to) => phone.command('dial', `sip:${to}@${domain}`),
    answer: () => phone.answer(),
    talks: () => phone.waitFor('CALL_ESTABLISHED'),
    hear: () => newest(() => phone.heard()),
    hangUp: () => phone.command('hangup'),
    over: () => phone.waitFor('CALL_CLOSED'),
    hold: () => phone.command('hold'),
    resume: () => phone.command('resume'),
    offerAgain: () => phone.reinvite(),
  };
}

export function linphoneParty(user: string, words: Sentence, domain: string, phone: Linphone): Party {
  return {
    user,
    words,
    call: async (to) => phone.type(`call sip:${to}@${domain}`),
    answer: async () => {
      await phone.says(/incoming call/i, 'somebody calls');
      phone.type('answer');
    },
    talks: () => phone.says(/Call .* connected/, 'the call is answered'),
    hear: () => newest(() => phone.heardSoFar()),
    hangUp: async () => phone.type('terminate'),
    over: () => phone.says(/Call .* ended/, 'the call has ended'),
    hold: async () => {
      phone.type('pause');
      await phone.says(/Call .* paused/, 'the call is on hold');
    },
    resume: async () => {
      phone.type('resume');
      await phone.says(/(Media streams established[\s\S]*){2}/, 'the call goes on');
    },
  };
}

/** The last seconds of a recording that goes on, once it has grown by them: it records what it plays, so not in our time. */
async function newest(recording: () => Sound): Promise<Sound> {
  const lengthS = () => {
    try {
      const sound = recording();
      return sound.samples.length / sound.rate;
    } catch {
      return 0; // it has not begun
    }
  };
  const from = lengthS();
  const deadline = performance.now() + 30_000;
  while (lengthS() < from + HEARD_S + 1) {
    if (performance.now() > deadline) throw new Error(`only ${(lengthS() - from).toFixed(1)} s more were recorded`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const sound = recording();
  return middle(sound, sound.samples.length / sound.rate - HEARD_S, HEARD_S);
}
