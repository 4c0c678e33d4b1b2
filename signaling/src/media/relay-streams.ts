import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '@offhook/core';
import type { StreamCommand, StreamInput } from './event-stream.ts';

const KEEP_ALIVE_MS = 30_000;

export interface RelayStreams {
  carryOut(relay: number, command: StreamCommand): void;
  close(): void;
}

export interface RelayStreamEvents {
  onInput(relay: number, input: StreamInput): void;
  /** One can't be opened, in words; said once until it can. */
  onTrouble(words: string): void;
}

/** The TCP connections over which relays tell events, one for each. */
export function relayStreams(
  relays: readonly SocketAddress[],
  { onInput, onTrouble }: RelayStreamEvents,
): RelayStreams {
  const open = new Map<number, Socket>();
  const troubled = new Set<number>();
  let isClosed = false;

  const close = (relay: number): void => {
    open.get(relay)?.destroy();
    open.delete(relay);
  };

  const connectTo = (relay: number, port: number): void => {
    const host = relays[relay]!.address;
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
    open.set(relay, socket);
    let problem: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      problem = error.code ?? error.message; // `close` follows
    });
    socket.on('connect', () => {
      if (open.get(relay) === socket) onInput(relay, { kind: 'opened' });
    });
    socket.on('data', (bytes) => {
      troubled.delete(relay);
      if (open.get(relay) === socket) onInput(relay, { kind: 'bytes', bytes });
    });
    socket.on('close', () => {
      if (open.get(relay) !== socket) return;
      open.delete(relay);
      if (socket.bytesRead === 0 && !troubled.has(relay)) {
        troubled.add(relay);
        onTrouble(
          `the media relay’s events can’t be had from ${host}, TCP port ${port}: ${problem ?? 'it ends the connection'}`,
        );
      }
      onInput(relay, { kind: 'closed' });
    });
  };

  return {
    carryOut: (relay, command) => {
      if (isClosed) return;
      switch (command.kind) {
        case 'open':
          close(relay);
          connectTo(relay, command.port);
          return;
        case 'write':
          open.get(relay)?.write(command.bytes);
          return;
        case 'close':
          close(relay);
          return;
        default:
          command satisfies never;
      }
    },
    close: () => {
      isClosed = true;
      for (const relay of [...open.keys()]) close(relay);
    },
  };
}
