import type { NgDictionary } from '@offhook/core';
import { NO_PORTS, NO_ROOM, type PortPool, queryCall, type SessionBook } from '../session/index.ts';
import { CONTROL_LIMITS, knowsLoadLimit, parametersOf, textOf } from './parameters.ts';

/** Our own verbs beyond rtpengine's, announced at ping. */
export const OFFHOOK_VERBS = ['echo', 'connect'] as const;

export interface ControlCounters {
  requests: number;
  repeated: number;
  malformed: number;
  errors: number;
  unknownCommands: number;
  unknownFlags: number;
  overload: number;
  /** From an address that may not command this relay; not answered. */
  refusedClients: number;
}

export interface ControlContext {
  /** Random: who pings learns from another one that this relay was started anew and has none of the calls of before. */
  readonly instance: string;
  readonly book: SessionBook;
  readonly ports: PortPool;
  readonly counters: ControlCounters;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  /** Whether commands of that address are carried out. */
  readonly obeys: (address: string) => boolean;
  /** Whether new calls are refused. */
  readonly isDraining: () => boolean;
  /** Called after each command: deadlines may have moved. */
  readonly rearm: () => void;
  readonly statistics: () => NgDictionary;
}

/** Carries out one command of the NG protocol; every failure is an answer in words. */
export async function execute(context: ControlContext, message: NgDictionary): Promise<NgDictionary> {
  const answer = await run(context, message);
  if (answer.result === 'error') context.counters.errors++;
  context.rearm();
  return answer;
}

async function run(context: ControlContext, message: NgDictionary): Promise<NgDictionary> {
  const { command } = message;
  switch (command) {
    case 'ping':
      return { result: 'pong', 'offhook-verbs': [...OFFHOOK_VERBS], 'offhook-instance': context.instance };
    case 'offer':
    case 'answer':
    case 'echo':
      return describe(context, command, message);
    case 'connect':
      return connect(context, message);
    case 'delete':
      return remove(context, message);
    case 'query':
      return query(context, message);
    case 'list': {
      const limit = typeof message.limit === 'number' ? Math.min(Math.max(message.limit, 0), CONTROL_LIMITS.list) : 32;
      const calls: string[] = [];
      for (const call of context.book.calls()) {
        if (calls.length >= limit) break;
        calls.push(call.id);
      }
      return { result: 'ok', calls };
    }
    case 'statistics':
      return { result: 'ok', statistics: context.statistics() };
    default:
      context.counters.unknownCommands++;
      return failure(typeof command === 'string' ? `unknown command '${command.slice(0, 40)}'` : 'command is missing');
  }
}

async function describe(
  context: ControlContext,
  command: 'offer' | 'answer' | 'echo',
  message: NgDictionary,
): Promise<NgDictionary> {
  const parameters = parametersOf(message);
  if ('error' in parameters) return failure(parameters.error);
  const { request } = parameters;
  context.counters.unknownFlags += parameters.unknownFlags.length;
  if (command === 'answer') return outcome(context.book.answer(request, context.monotonicMs()));
  if (!context.book.find(request.callId)) {
    if (context.isDraining()) return busy(message, 'this relay is draining and takes no new calls');
    if (context.book.isFull) return busy(message, NO_ROOM);
  }
  const needed = context.book.pairsFor(request, command === 'echo');
  if (typeof needed === 'object') return failure(needed.error);
  const pairs = await context.ports.take(needed);
  if (!pairs) return busy(message, NO_PORTS);
  const now = context.monotonicMs();
  const described =
    command === 'offer' ? context.book.offer(request, pairs, now) : context.book.echo(request, pairs, now);
  for (const pair of pairs) context.ports.give(pair);
  return outcome(described);
}

function connect({ book, monotonicMs }: ControlContext, message: NgDictionary): NgDictionary {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  const fromCallId = textOf(message, 'from-call-id', CONTROL_LIMITS.callId);
  const tag = textOf(message, 'from-tag', CONTROL_LIMITS.tag);
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  if (typeof fromCallId !== 'string') return failure('from-call-id is missing or too long');
  if (typeof tag !== 'string') return failure('from-tag is missing or too long');
  const problem = book.connect({ callId, fromCallId, tag }, monotonicMs());
  return problem ? failure(problem.error) : { result: 'ok' };
}

function remove({ book, monotonicMs, wallMs }: ControlContext, message: NgDictionary): NgDictionary {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  const tag = textOf(message, 'from-tag', CONTROL_LIMITS.tag);
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  if (typeof tag === 'object') return failure(`from-tag ${tag.error}`);
  const call = book.find(callId);
  const record = call && queryCall(call, monotonicMs(), wallMs());
  const other = textOf(message, 'to-tag', CONTROL_LIMITS.tag);
  const isGone = book.delete(callId, tag) || (typeof other === 'string' && book.delete(callId, other));
  // As rtpengine: a call that is not there (any more) is no error.
  return isGone ? { result: 'ok', ...record } : { result: 'ok', warning: "Call-ID not found or tags didn't match" };
}

function query({ book, monotonicMs, wallMs }: ControlContext, message: NgDictionary): NgDictionary {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  const call = book.find(callId);
  return call ? { result: 'ok', ...queryCall(call, monotonicMs(), wallMs()) } : failure('Unknown call-id');
}

function outcome(described: { sdp: string; warning?: string } | { error: string }): NgDictionary {
  return 'error' in described ? failure(described.error) : { result: 'ok', ...described };
}

/** A client that knows `load limit` asks the next relay; others get an error. */
function busy(message: NgDictionary, reason: string): NgDictionary {
  return knowsLoadLimit(message) ? { result: 'load limit', message: reason } : failure(reason);
}

function failure(reason: string): NgDictionary {
  return { result: 'error', 'error-reason': reason };
}
