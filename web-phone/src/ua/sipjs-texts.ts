import { type Core, type Message, TransportState, UserAgent } from 'sip.js';
import { parseReason } from './call-end.ts';
import type { IncomingText, OutgoingText, TextOutcome } from './signaling.ts';
import { party } from './sipjs-leg.ts';

/** Of a text that comes in; ours are shorter. */
const MAX_LENGTH = 20_000;

/** Texts by MESSAGE (RFC 3428), outside of any call. */
export class SipjsTexts {
  readonly #userAgent: UserAgent;
  readonly #taken: (text: IncomingText) => void;
  /** Those that wait for an answer over the present socket. */
  readonly #waiting = new Set<(outcome: TextOutcome) => void>();

  constructor(userAgent: UserAgent, taken: (text: IncomingText) => void) {
    this.#userAgent = userAgent;
    this.#taken = taken;
    // SIP.js goes on waiting for an answer that was to come over a lost socket.
    userAgent.transport.stateChange.addListener((state) => {
      if (state !== TransportState.Disconnected) return;
      for (const settle of [...this.#waiting]) settle({ kind: 'connection-lost' });
    });
  }

  send({ id, uri, text }: OutgoingText): Promise<TextOutcome> {
    const { userAgentCore, configuration, transport } = this.#userAgent;
    const target = UserAgent.makeURI(uri);
    if (!target) return Promise.resolve({ kind: 'refused', status: 484 });
    if (!transport.isConnected()) return Promise.resolve({ kind: 'connection-lost' });
    return new Promise((resolve) => {
      const settle = (outcome: TextOutcome): void => {
        this.#waiting.delete(settle);
        resolve(outcome);
      };
      this.#waiting.add(settle);
      const message = userAgentCore.makeOutgoingRequestMessage(
        'MESSAGE',
        target,
        configuration.uri,
        target,
        { callId: id, fromTag: `t${id.replaceAll('-', '').slice(0, 10)}`, cseq: 1 },
        [],
        { contentDisposition: 'render', contentType: 'text/plain;charset=UTF-8', content: text },
      );
      userAgentCore.message(message, {
        onAccept: ({ message: { statusCode } }) => settle({ kind: statusCode === 202 ? 'stored' : 'delivered' }),
        onRedirect: ({ message: response }) => settle(refusal(response)),
        onReject: ({ message: response }) => settle(refusal(response)),
      });
    });
  }

  take(message: Message): void {
    const { request } = message;
    const type = request.getHeader('content-type') ?? '';
    if (!/^\s*text\/plain\s*(;|$)/i.test(type)) {
      void message.reject({ statusCode: 415, extraHeaders: ['Accept: text/plain'] }); // RFC 3428 7
      this.#finish(request);
      return;
    }
    const text = request.body.slice(0, MAX_LENGTH);
    if (text.trim() !== '') {
      const sentAtMs = Date.parse(request.getHeader('date') ?? '');
      this.#taken({
        id: `${request.callId} ${request.fromTag} ${request.cseq}`,
        from: party(request.from, this.#userAgent.configuration.uri.host),
        text,
        sentAtMs: Number.isFinite(sentAtMs) ? sentAtMs : undefined,
      });
    }
    void message.accept(); // only what is kept is confirmed
    this.#finish(request);
  }

  /**
   * Over a reliable transport a transaction ends with its answer (RFC 3261 17.2.2: timer J is 0). SIP.js keeps it for 32 s
   * and says 482 to the same message meanwhile, which comes again when its sender's connection was lost.
   */
  #finish({ viaBranch }: Core.IncomingRequestMessage): void {
    const { userAgentServers } = this.#userAgent.userAgentCore;
    userAgentServers.get(viaBranch)?.dispose();
    userAgentServers.delete(viaBranch);
  }
}

/** SIP.js makes up a 408 for silence and a 503 for a socket that took nothing; a server's own answers have a Via. */
function refusal(response: Core.IncomingResponseMessage): TextOutcome {
  const { text } = parseReason(response.getHeader('reason'));
  const reason = text ? { reason: text } : {};
  const status = response.statusCode ?? 500;
  const isSure = response.hasHeader('via') && status !== 408 && status !== 504;
  return isSure ? { kind: 'refused', status, ...reason } : { kind: 'unanswered', ...reason };
}
