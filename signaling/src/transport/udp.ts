import { createSocket, type Socket } from 'node:dgram';
import { ipFamily, type SocketAddress, socketKey, unmapped } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import { FlowTable } from './flow-table.ts';
import type { TransportHub } from './hub.ts';
import { LargeRequests } from './large.ts';
import { listenNear } from './listen.ts';
import { answerStun } from './stun.ts';

/** What fits into one datagram over IPv4. */
const LARGEST = 65_507;

export interface Listener {
  readonly local: SocketAddress;
  /** The flow to a remote address, as if it had just sent something; connections can't be had this way. */
  readonly flowTo?: (remote: SocketAddress) => Flow;
  /** The same to another server, which listens over TCP at the same port (RFC 3261 18.2.1). */
  readonly flowToServer?: (remote: SocketAddress) => Flow;
  close(): Promise<void>;
}

/** SIP over UDP. A port in use is skipped for the next free one. */
export async function listenUdp(hub: TransportHub, at: SocketAddress): Promise<Listener> {
  const { socket, local } = await listenNear(at, (port) => bind({ address: at.address, port }));
  const flows = new FlowTable();
  const large = new LargeRequests(hub);
  let open = true;
  /** A dual-stack socket sends to IPv4 by its mapped address only. */
  const reachable = (address: string) =>
    ipFamily(local.address) === 6 && ipFamily(address) === 4 ? `::ffff:${address}` : address;
  /**
   * A flow is its source, and the port there that we send to. They differ only for a phone that asks for no rport: it
   * listens where its Via says, so answers and our own requests (a call to its registered contact, a BYE) go there alike.
   * What has another such port is another flow, so a forged datagram diverts nobody's.
   */
  const flowOf = (remote: SocketAddress, port: number): Flow => {
    const key = port === remote.port ? socketKey(remote) : `${socketKey(remote)} ${port}`;
    const kept = flows.get(key);
    if (kept) return kept;
    const flow = hub.newFlow({ transport: 'udp', local, remote });
    const address = reachable(remote.address);
    const datagram = (bytes: Uint8Array) => {
      if (open && bytes.length <= LARGEST)
        socket.send(bytes, port, address, (error) => error && hub.counters.sendErrors++);
      else hub.counters.sendErrors++;
    };
    const to = { address: remote.address, port };
    hub.bind(flow, (bytes) => {
      if (!open || !large.take(flow, to, bytes, datagram)) datagram(bytes);
    });
    flows.set(key, flow);
    return flow;
  };
  const stun = (bytes: Uint8Array, remote: SocketAddress): void => {
    const answer = answerStun(bytes, remote);
    if (!answer) hub.counters.notSip++;
    // Asked with a flow that is not kept: a flood of forged sources must not push the phones' flows out.
    else if (hub.mayAnswer(hub.newFlow({ transport: 'udp', local, remote }))) {
      hub.counters.stunAnswered++;
      const address = reachable(remote.address);
      socket.send(answer, remote.port, address, (error) => error && hub.counters.sendErrors++);
    }
  };
  const shown = (bytes: Buffer, remote: SocketAddress) => {
    if (flows.get(socketKey(remote))?.isKnown) return 'known';
    return bytes.includes('nonce=') ? 'nonce' : 'nothing';
  };
  const listeningAt = (flow: Flow, port: number) => flowOf(flow.remote, port);
  socket.on('error', () => hub.counters.sendErrors++);
  socket.on('message', (bytes, from) => {
    const first = bytes[0];
    if (first === undefined) return;
    // Nothing can be answered to port 0; only forged packets come from it.
    if (from.port === 0) {
      hub.counters.malformedDropped++;
      return;
    }
    const remote = { address: unmapped(from.address), port: from.port };
    // Whoever is banned costs a look into a table and one through the bytes.
    if (hub.refuses(remote, 'udp', () => shown(bytes, remote))) return;
    if (!flows.get(socketKey(remote))?.isKnown && !hub.hears(remote)) return;
    // CRLF and double NUL keep NAT bindings open, and so does STUN (first byte 0 to 3), which wants an answer.
    if (first === 13 || first === 10 || first < 4) {
      if (bytes.length <= 4) {
        hub.counters.keepAlives++;
        return;
      }
      if (first < 4) {
        stun(bytes, remote);
        return;
      }
    }
    hub.receive(bytes, flowOf(remote, remote.port), listeningAt);
  });
  return {
    local,
    flowTo: (remote) => known(flowOf(remote, remote.port)),
    flowToServer: (remote) => {
      const flow = known(flowOf(remote, remote.port));
      large.isServer(flow);
      return flow;
    },
    close: () =>
      new Promise((resolve) => {
        open = false;
        flows.clear();
        socket.close(() => resolve());
      }),
  };
}

/** We have spoken first, or a process before this one has known who is there. */
function known(flow: Flow): Flow {
  flow.isKnown = true;
  return flow;
}

function bind(at: SocketAddress): Promise<{ socket: Socket; local: SocketAddress }> {
  return new Promise((resolve, reject) => {
    const family = ipFamily(at.address) === 6 ? 6 : 4;
    const socket = createSocket({
      type: `udp${family}`,
      recvBufferSize: 4 << 20,
      // Only addresses are sent to: nothing has to be looked up, nor to wait for the next turn of the loop.
      lookup: (address, _options, done) => done(null, address, family),
    });
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(at.port, at.address, () => {
      socket.removeAllListeners('error');
      const { address, port } = socket.address();
      resolve({ socket, local: { address, port } });
    });
  });
}
