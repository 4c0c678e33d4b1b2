import { reasonPhrase, type SipMessage } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/** Who is told of the fate of a request to a trunk. */
export interface Client {
  response(message: SipMessage, flow: Flow, nowMs: number): void;
  failed(why: 'timeout' | 'transport-error', nowMs: number): void;
}

export function failureWords(why: 'timeout' | 'transport-error', target: string): string {
  return why === 'timeout' ? `${target} does not answer` : `the connection to ${target} is gone`;
}

/** What a server answered, as people read it; its phrase is text from outside. */
export function answerWords({ status, reason }: SipMessage, target: string): string {
  const phrase = (reason || reasonPhrase(status)).replace(/[^\x20-\x7e]/g, '?').slice(0, 80);
  return `${target} answers ${status} ${phrase}`;
}
