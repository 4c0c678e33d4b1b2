import { EmitterImpl, type Transport, TransportState } from 'sip.js';

export interface SocketTransportOptions {
  readonly url: string;
  /** Asked at every connection: the session may have been renewed. */
  readonly protocols: () => string[];
  readonly createSocket: (url: string, protocols: string[]) => WebSocket;
  readonly onTrace: (direction: 'sent' | 'received', text: string) => void;
  /** Any bytes from the server, keep-alive answers included. */
  readonly onActivity: () => void;
}

/** SIP over WebSocket (RFC 7118) for SIP.js: one socket at a time, no reconnection of its own, no logging of secrets. */
export class SocketTransport implements Transport {
  readonly protocol: string;
  readonly stateChange = new EmitterImpl<TransportState>();
  onConnect: (() => void) | undefined;
  onDisconnect: ((error?: Error) => void) | undefined;
  onMessage: ((message: string) => void) | undefined;
  readonly #options: SocketTransportOptions;
  #socket: WebSocket | undefined;
  #state = TransportState.Disconnected;

  /** SIP.js constructs transports itself: its logger first, which this one has no use for. */
  constructor(_logger: unknown, options: SocketTransportOptions) {
    this.#options = options;
    this.protocol = options.url.startsWith('wss:') ? 'WSS' : 'WS';
  }

  get state(): TransportState {
    return this.#state;
  }

  connect(): Promise<void> {
    this.#drop();
    return new Promise((resolve, reject) => {
      const socket = this.#options.createSocket(this.#options.url, this.#options.protocols());
      this.#socket = socket;
      this.#become(TransportState.Connecting);
      socket.onopen = () => {
        if (socket !== this.#socket) return;
        this.#become(TransportState.Connected);
        this.onConnect?.();
        resolve();
      };
      socket.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (socket === this.#socket) this.#receive(data);
      };
      socket.onclose = ({ code }) => {
        if (socket !== this.#socket) return;
        this.#socket = undefined;
        const error = new Error(`WebSocket closed (${code})`);
        this.#become(TransportState.Disconnected);
        this.onDisconnect?.(error);
        reject(error);
      };
    });
  }

  /** Leaves the socket at once, also a dead one whose closing handshake would never be answered. */
  disconnect(): Promise<void> {
    this.#drop();
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return this.disconnect();
  }

  isConnected(): boolean {
    return this.#state === TransportState.Connected;
  }

  send(message: string): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#state !== TransportState.Connected) return Promise.reject(new Error('not connected'));
    if (message.trim() !== '') this.#options.onTrace('sent', message);
    socket.send(message);
    return Promise.resolve();
  }

  #receive(data: unknown): void {
    const text = typeof data === 'string' ? data : data instanceof ArrayBuffer ? new TextDecoder().decode(data) : '';
    this.#options.onActivity();
    if (text.trim() === '') {
      if (text === '\r\n\r\n') this.#socket?.send('\r\n'); // RFC 5626 4.4.1: a ping is answered by a pong
      return;
    }
    this.#options.onTrace('received', text);
    this.onMessage?.(text);
  }

  #drop(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#become(TransportState.Disconnected);
  }

  #become(state: TransportState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.stateChange.emit(state);
  }
}
