import { isInUse } from '../in-use.ts';
import type { ControlContext } from './commands.ts';
import { NgDispatcher } from './dispatcher.ts';
import { NgServer } from './server.ts';
import { NgTcpServer } from './tcp.ts';
import { NgWebSocketServer } from './websocket.ts';

export interface ControlAddress {
  readonly address: string;
  readonly port: number;
  readonly tcpPort?: number;
  readonly webSocketPort?: number;
  readonly allowedOrigins?: readonly string[];
  /** Whoever speaks to a port that was agreed on would reach another program on the next one. */
  readonly fixedPorts?: boolean;
}

/** The real ports; `ngTcp` and `ngWebSocket` only where they were asked for. */
export interface ControlPorts {
  readonly ng: number;
  readonly ngTcp?: number;
  readonly ngWebSocket?: number;
}

interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** A port in use is passed over, this many times, unless it is fixed. */
const PORT_TRIES = 20;

/** Opens the NG protocol's transports; all of them or none. */
export async function listenControl(
  at: ControlAddress,
  context: ControlContext,
): Promise<{ readonly ports: ControlPorts; close(): Promise<void> }> {
  const { address, tcpPort, webSocketPort } = at;
  const parts = { context, dispatcher: new NgDispatcher(context) };
  const open: Listener[] = [];
  const close = async () => {
    await Promise.all(open.map((listener) => listener.close()));
  };
  const listen = async (port: number, start: (port: number) => Promise<Listener>): Promise<number> => {
    const listener = await firstFree(port, start, at.fixedPorts ? 1 : PORT_TRIES);
    open.push(listener);
    return listener.port;
  };
  try {
    const ng = await listen(at.port, (port) => NgServer.listen({ address, port }, parts));
    const ngTcp =
      tcpPort === undefined ? undefined : await listen(tcpPort, (port) => NgTcpServer.listen({ address, port }, parts));
    const allowedOrigins = at.allowedOrigins ?? [];
    const ngWebSocket =
      webSocketPort === undefined
        ? undefined
        : await listen(webSocketPort, (port) => NgWebSocketServer.listen({ address, port, allowedOrigins }, parts));
    const ports = {
      ng,
      ...(ngTcp === undefined ? {} : { ngTcp }),
      ...(ngWebSocket === undefined ? {} : { ngWebSocket }),
    };
    return { ports, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function firstFree(port: number, start: (port: number) => Promise<Listener>, most: number): Promise<Listener> {
  for (let tries = 0; ; tries++) {
    try {
      return await start(port === 0 ? 0 : port + tries);
    } catch (error) {
      if (!isInUse(error) || tries + 1 >= most) throw error;
    }
  }
}
