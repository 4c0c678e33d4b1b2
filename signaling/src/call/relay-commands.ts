import type { NgDictionary } from '@offhook/core';
import type { NgResult } from '../media/index.ts';
import type { Call } from './call.ts';

/** A command for the media relay; its result comes back under the same id. */
export interface RelayCommand {
  readonly kind: 'media';
  readonly id: number;
  readonly message: NgDictionary;
  /** A new call goes to the relay that has that one, for legs may move between them. */
  readonly near?: string;
}

type Then = (result: NgResult, nowMs: number) => void;

/** The commands to the relay that wait for their results. What comes for a call that has ended meanwhile nobody is told. */
export class RelayCommands {
  readonly #commands: { push(command: RelayCommand): unknown };
  readonly #waiting = new Map<number, { readonly call?: Call; readonly then: Then }>();
  #nextId = 1;

  /** `commands`: where they are handed on. */
  constructor(commands: { push(command: RelayCommand): unknown }) {
    this.#commands = commands;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** A command of a call: nothing happens when the call has ended. */
  sendFor(call: Call, message: NgDictionary, then: Then): void {
    if (call.state === 'ended') return;
    const id = this.#nextId++;
    this.#waiting.set(id, { call, then });
    this.#commands.push({ kind: 'media', id, message, near: call.near ?? call.transfer?.old.ngCallId });
  }

  /** One that is seen through whatever becomes of calls. */
  send(message: NgDictionary, then: Then): void {
    const id = this.#nextId++;
    this.#waiting.set(id, { then });
    this.#commands.push({ kind: 'media', id, message });
  }

  handleResult(id: number, result: NgResult, nowMs: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting && waiting.call?.state !== 'ended') waiting.then(result, nowMs);
  }
}
