import type { SipMessage } from '@offhook/core';
import { series } from '@offhook/core';
import type { SipTransportName } from '../transaction/index.ts';

/** Methods that have a figure of their own; whatever else somebody sends is `other`. */
const METHODS: readonly string[] =
  'INVITE ACK BYE CANCEL REGISTER OPTIONS PRACK UPDATE INFO REFER NOTIFY SUBSCRIBE MESSAGE PUBLISH other'.split(' ');
const OTHER = METHODS.length - 1;
const LONGEST_METHOD = 9;
const BY_NAME: ReadonlyMap<string, number> = new Map(METHODS.map((name, i) => [name, i]));
const TRANSPORTS: readonly SipTransportName[] = ['udp', 'tcp', 'tls', 'ws', 'wss'];

/** What went one way, in numbers by position. */
class OneWay {
  readonly requests = METHODS.map(() => 0);
  /** By the first digit of their status. */
  readonly responses = [0, 0, 0, 0, 0, 0, 0];
  readonly messages = TRANSPORTS.map(() => 0);
  readonly bytes = TRANSPORTS.map(() => 0);

  count(transport: SipTransportName, bytes: number): void {
    const i = TRANSPORTS.indexOf(transport);
    this.messages[i]!++;
    this.bytes[i]! += bytes;
  }
}

/** SIP messages as they went over the wire, repeated ones included: by method, by class of status, by transport. */
export class Traffic {
  readonly #received = new OneWay();
  readonly #sent = new OneWay();

  received(message: SipMessage, transport: SipTransportName, bytes: number): void {
    const { requests, responses } = this.#received;
    this.#received.count(transport, bytes);
    if (message.kind === 'request') requests[BY_NAME.get(message.method) ?? OTHER]!++;
    else responses[classOf(message.status)]!++;
  }

  sent(bytes: Uint8Array, transport: SipTransportName): void {
    const { requests, responses } = this.#sent;
    this.#sent.count(transport, bytes.length);
    // `SIP/2.0 200 …`, or `INVITE sip:…`
    if (bytes[3] === 0x2f) responses[classOf((bytes[8]! - 0x30) * 100)]!++;
    else requests[methodAt(bytes)]!++;
  }

  figures(): Record<string, number> {
    const out: Record<string, number> = {};
    for (const [direction, way] of [
      ['received', this.#received],
      ['sent', this.#sent],
    ] as const) {
      for (const [i, method] of METHODS.entries())
        out[series('sip_requests_total', { direction, method })] = way.requests[i]!;
      for (let first = 1; first <= 6; first++)
        out[series('sip_responses_total', { direction, class: `${first}xx` })] = way.responses[first]!;
      for (const [i, transport] of TRANSPORTS.entries()) {
        out[series('sip_transport_messages_total', { direction, transport })] = way.messages[i]!;
        out[series('sip_transport_bytes_total', { direction, transport })] = way.bytes[i]!;
      }
    }
    return out;
  }
}

/** 0 for what is no status; the parser lets none in. */
function classOf(status: number): number {
  const first = Math.floor(status / 100);
  return first >= 1 && first <= 6 ? first : 0;
}

function methodAt(bytes: Uint8Array): number {
  let name = '';
  for (let i = 0; i <= LONGEST_METHOD && bytes[i] !== 0x20; i++) name += String.fromCharCode(bytes[i] ?? 0);
  return BY_NAME.get(name) ?? OTHER;
}
