import { monotonicMs } from '@offhook/core/node';
import type { Logger } from 'pino';
import type { CallSummary } from '../call/index.ts';
import type { EventLog } from '../http/index.ts';
import type { RelayStreams } from '../media/index.ts';
import type { RegistrarEvent } from '../registrar/index.ts';
import type { Journal } from '../store/index.ts';
import type { TransportHub } from '../transport/index.ts';
import type { BanLog } from './ban-log.ts';
import type { SipCore } from './core.ts';
import type { SipCoreCommand } from './core-seam.ts';
import type { Memory } from './memory.ts';
import type { Outside } from './outside.ts';
import type { openRouting } from './routing.ts';

export interface CarrierOptions {
  readonly core: SipCore;
  readonly hub: TransportHub;
  readonly relays: { send(relay: number, bytes: Uint8Array): void };
  readonly streams: Pick<RelayStreams, 'carryOut'>;
  readonly outside: Outside;
  readonly routing: Pick<ReturnType<typeof openRouting>, 'decide'>;
  readonly memory: Memory;
  readonly journal: Journal;
  readonly events: EventLog;
  readonly banLog: BanLog;
  readonly log: Logger;
  /** Brings the result of something that took its time back to the core, as one more input. */
  readonly handle: (input: () => void) => void;
}

/** Does what the core wants done: sends, remembers, tells those who watch, and asks whoever takes time. */
export function carrierOf(options: CarrierOptions): (command: SipCoreCommand) => void {
  const { core, hub, relays, streams, outside, routing, memory, journal, events, banLog, log, handle } = options;

  const carryMessage = (command: Extract<SipCoreCommand, { kind: 'message' }>['command']): void => {
    switch (command.kind) {
      case 'store': {
        const { id } = command.message;
        void journal
          .noteSurely(memory.message(command.message))
          .then((isWritten) => handle(() => core.handleStored(id, isWritten, monotonicMs())));
        return;
      }
      case 'forget':
        journal.note({ kind: 'no-message', id: command.id });
        return;
      case 'news':
        events.add({ type: 'message', ...command.news }, Date.now());
        return;
      default:
        command satisfies never;
    }
  };

  const tellCall = ({ id, from, to, state, users, answeredBy, isPrivate, status, reason }: CallSummary) =>
    events.add({ type: 'call', id, from, to, state, users, answeredBy, isPrivate, status, reason }, Date.now());

  /** Refreshes are no news; a contact that goes is, when it was the last. */
  const tellRegistration = ({ kind, binding: { user } }: RegistrarEvent) => {
    if (kind === 'refreshed') return;
    const online = core.registrar.lookup(user, monotonicMs()).length > 0;
    events.add({ type: 'registration', user, online }, Date.now());
  };

  return (command) => {
    switch (command.kind) {
      case 'send':
        hub.send(command.flow, command.bytes);
        return;
      case 'relay':
        relays.send(command.relay, command.bytes);
        return;
      case 'relay-stream':
        streams.carryOut(command.relay, command.command);
        return;
      case 'question':
      case 'open':
      case 'doubt':
        void outside.carryOut(command, core, handle);
        return;
      case 'registration':
        logRegistration(log, command.event);
        memory.registration(command.event);
        tellRegistration(command.event);
        return;
      case 'route': {
        const { id, facts } = command;
        void routing.decide(facts).then((routed) => handle(() => core.handleRouted(id, routed, monotonicMs())));
        return;
      }
      case 'remember':
        memory.call(command.call);
        return;
      case 'call-progress':
        tellCall(command.call);
        return;
      case 'trunk':
        log[command.news.level]({ trunk: command.news.trunk }, command.news.words);
        return;
      case 'presence': {
        const { user, presence } = command.news;
        events.add({ type: 'presence', user, ...presence }, Date.now());
        return;
      }
      case 'quality':
        // What holds for some seconds would take the place of what others have missed.
        events[command.news.report === 'interval' ? 'pass' : 'add']({ type: 'quality', ...command.news }, Date.now());
        return;
      case 'subscription':
        memory.subscription(command.command);
        return;
      case 'message':
        carryMessage(command.command);
        return;
      case 'banned':
        banLog.handle(command.ban, monotonicMs());
        if (!command.ban.isForgeable) hub.closeRefused(command.ban.why === 'hand' ? 'everybody' : 'strangers');
        return;
      case 'call-ended': {
        tellCall(command.call);
        memory.ended(command.call);
        const { id, from, to, status, reason } = command.call;
        log.info({ call: id, from, to, status, reason }, 'call ended');
        return;
      }
      default:
        command satisfies never;
    }
  };
}

function logRegistration(log: Logger, { kind, binding, why }: RegistrarEvent): void {
  const { user, flow, userAgent } = binding;
  log[kind === 'refreshed' ? 'debug' : 'info']({ user, transport: flow.transport, userAgent, why }, kind);
}
