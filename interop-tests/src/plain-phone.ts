import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { answerChallenge, createRequest, parseChallenge, parseSdp, parseSip, SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { System } from './system.ts';

const PTIME_MS = 20;
const RTP_HEADER = 12;
const PAYLOAD = Buffer.alloc(160, 'what the plain phone says');
const ANSWER_MS = 5000;

/**
 * A SIP phone over UDP with plain RTP, as small as a test needs it: it calls, sends the same A-law packet each 20 ms and
 * tells what comes back. Its sockets are open to the test, to send what no phone would.
 */
export class PlainPhone {
  readonly #sip: Socket;
  readonly #rtp: Socket;
  readonly #system: System;
  readonly #account: { readonly user: string; readonly password: string };
  readonly #headers: readonly (readonly [string, string])[];
  #dialog: { readonly callId: string; readonly to: string; readonly target: string } | undefined;
  #clock: NodeJS.Timeout | undefined;
  #sequence = 0;
  #cseq = 0;
  /** The relay's RTP port of the call. */
  farPort = 0;
  /** Packets of its own that came back, and packets of anybody else. */
  ownPackets = 0;
  foreignPackets = 0;

  private constructor(
    sockets: { sip: Socket; rtp: Socket },
    system: System,
    account: { user: string; password: string },
  ) {
    this.#sip = sockets.sip;
    this.#rtp = sockets.rtp;
    this.#system = system;
    this.#account = account;
    this.#headers = [['Contact', `<sip:${account.user}@127.0.0.1:${sockets.sip.address().port}>`]];
    this.#rtp.on('message', (bytes) => {
      if (PAYLOAD.equals(bytes.subarray(RTP_HEADER))) this.ownPackets++;
      else this.foreignPackets++;
    });
  }

  static async open(system: System, account: { user: string; password: string }): Promise<PlainPhone> {
    const open = async () => {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      return socket;
    };
    return new PlainPhone({ sip: await open(), rtp: await open() }, system, account);
  }

  /** Calls and speaks from the answer on. `more` are further lines of its description. */
  async call(to: string, more: readonly string[] = []): Promise<void> {
    const uri = `sip:${to}@${this.#system.domain}`;
    const callId = `plain-${nodeCrypto.randomBytes(8).join('')}`;
    const invite = { callId, uri, to: `<${uri}>` };
    const sdp = [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=-',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      `m=audio ${this.#rtp.address().port} RTP/AVP 8`,
      'a=rtpmap:8 PCMA/8000',
      ...more,
      '',
    ].join('\r\n');
    const challenged = await this.#request('INVITE', invite, sdp);
    if (challenged.status !== 401) throw new Error(`INVITE was answered by ${challenged.status}`);
    this.#send('ACK', { ...invite, to: challenged.header('to')! });
    const authorization = answerChallenge(
      {
        challenge: parseChallenge(challenged.header('www-authenticate')!)!,
        username: this.#account.user,
        password: this.#account.password,
        method: 'INVITE',
        uri,
      },
      nodeCrypto,
    )!;
    const answer = await this.#request('INVITE', invite, sdp, [['Authorization', authorization]]);
    if (answer.status !== 200) throw new Error(`INVITE was answered by ${answer.status} ${answer.reason}`);
    const contact = answer.contacts;
    if (contact === undefined || contact === '*') throw new Error('the answer names no Contact');
    this.#dialog = { callId, to: answer.header('to')!, target: contact[0]!.uri.toString() };
    this.#send('ACK', { ...this.#dialog, uri: this.#dialog.target });
    const described = parseSdp(answer.bodyText);
    if (!('media' in described)) throw new Error(`the answer's SDP cannot be read: ${answer.bodyText}`);
    this.farPort = described.media[0]!.port;
    this.#clock = setInterval(() => this.#speak(), PTIME_MS);
  }

  /** Any bytes from the address that the relay knows as this phone's. */
  sendRaw(bytes: Uint8Array, port: number): Promise<void> {
    return new Promise((resolve) => this.#rtp.send(bytes, port, '127.0.0.1', () => resolve()));
  }

  async hangUp(): Promise<void> {
    clearInterval(this.#clock);
    const { callId, to, target } = this.#dialog!;
    this.#dialog = undefined;
    const answer = await this.#request('BYE', { callId, to, uri: target });
    if (answer.status !== 200) throw new Error(`BYE was answered by ${answer.status}`);
  }

  /** Ends everything; a call that was not hung up because a test failed is not left to the next one. */
  async close(): Promise<void> {
    if (this.#dialog) await this.hangUp().catch(() => {});
    this.#sip.close();
    this.#rtp.close();
  }

  #speak(): void {
    const packet = Buffer.alloc(RTP_HEADER + PAYLOAD.length);
    packet[0] = 0x80;
    packet[1] = 8;
    packet.writeUInt16BE(++this.#sequence & 0xffff, 2);
    packet.writeUInt32BE(this.#sequence * PAYLOAD.length, 4);
    packet.writeUInt32BE(0x0ff4_0008, 8);
    packet.set(PAYLOAD, RTP_HEADER);
    this.#rtp.send(packet, this.farPort, '127.0.0.1');
  }

  /** Sends one request and waits for its final answer. */
  #request(
    method: string,
    of: { callId: string; to: string; uri: string },
    sdp?: string,
    more: readonly (readonly [string, string])[] = [],
  ): Promise<SipMessage> {
    const cseq = ++this.#cseq;
    return new Promise((resolve, reject) => {
      const check = (bytes: Buffer) => {
        const message = parseSip(bytes);
        if (!(message instanceof SipMessage) || message.kind !== 'response') return;
        if (message.callId !== of.callId || message.cseq.number !== cseq || message.status < 200) return;
        clearTimeout(timer);
        this.#sip.off('message', check);
        resolve(message);
      };
      const timer = setTimeout(() => {
        this.#sip.off('message', check);
        reject(new Error(`${method} was not answered within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      this.#sip.on('message', check);
      this.#send(method, of, sdp, more);
    });
  }

  #send(
    method: string,
    of: { callId: string; to: string; uri: string },
    sdp?: string,
    more: readonly (readonly [string, string])[] = [],
  ): void {
    const { user } = this.#account;
    const branch = `z9hG4bK${of.callId}-${this.#cseq}${method === 'ACK' && this.#dialog ? 'a' : ''}`;
    const request = createRequest({
      method,
      uri: of.uri,
      from: `<sip:${user}@${this.#system.domain}>;tag=plain`,
      to: of.to,
      callId: of.callId,
      cseq: this.#cseq,
      headers: [
        ['Via', `SIP/2.0/UDP 127.0.0.1:${this.#sip.address().port};branch=${branch}`],
        ...this.#headers,
        ...more,
      ],
      ...(sdp === undefined ? {} : { body: { type: 'application/sdp', bytes: sdp } }),
    });
    this.#sip.send(request.serialize(), this.#system.ports.udp!, '127.0.0.1');
  }
}
