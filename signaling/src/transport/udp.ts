import { type SocketAddress, socketKey, text } from '@offhook/core';
import { nodeCrypto, openDatagramSocket, UdpEndpoint } from '@offhook/core/node';
import type { Flow } from '../transaction/index.ts';
import { type FlowKey, FlowTable } from './flow-table.ts';
import type { TransportHub } from './hub.ts';
import { LargeRequests } from './large.ts';
import { listenNear } from './listen.ts';
import { answerStun } from './stun.ts';

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
  const socket = await listenNear(at, (port) => openDatagramSocket({ address: at.address, port }));
  const { local } = socket;
  const flows = new FlowTable();
  const large = new LargeRequests(hub);
  let open = true;
  socket.onSendErrors = (count) => {
    hub.counters.sendErrors += count;
  };
  /**
   * A flow is its source, and the port there that we send to. They differ only for a phone that asks for no rport: it
   * listens where its Via says, so answers and our own requests (a call to its registered contact, a BYE) go there alike.
   * What has another such port is another flow, so a forged datagram diverts nobody's.
   */
  const flowOf = (remote: SocketAddress, port: number): Flow => {
    const source = UdpEndpoint.from(remote);
    const key = source && port === remote.port ? keyOf(source) : `${socketKey(remote)} ${port}`;
    return flows.get(key) ?? newFlow(key, remote, port);
  };
  const newFlow = (key: FlowKey, remote: SocketAddress, port: number): Flow => {
    const flow = hub.newFlow({ transport: 'udp', local, remote });
    const to = { address: remote.address, port };
    const endpoint = UdpEndpoint.from(to);
    const datagram = (bytes: Uint8Array) => {
      if (open && endpoint) socket.send(bytes, endpoint);
      else hub.counters.sendErrors++;
    };
    hub.bind(flow, (bytes) => {
      if (!open || !large.take(flow, to, bytes, datagram)) datagram(bytes);
    });
    flows.set(key, flow);
    return flow;
  };
  const stun = (bytes: Uint8Array, from: UdpEndpoint): void => {
    const remote = from.toSocketAddress();
    const answer = answerStun(bytes, remote);
    if (!answer) hub.counters.notSip++;
    // Asked with a flow that is not kept: a flood of forged sources must not push the phones' flows out.
    else if (hub.mayAnswer(hub.newFlow({ transport: 'udp', local, remote }))) {
      hub.counters.stunAnswered++;
      socket.send(answer, from);
    }
  };
  const shown = (bytes: Uint8Array, flow: Flow | undefined) => {
    if (flow?.isKnown) return 'known';
    return text(bytes).includes('nonce=') ? 'nonce' : 'nothing';
  };
  const listeningAt = (flow: Flow, port: number) => flowOf(flow.remote, port);
  socket.onDatagram = (bytes, from) => {
    const first = bytes[0];
    if (first === undefined) return false;
    // Nothing can be answered to port 0; only forged packets come from it.
    if (from.port === 0) {
      hub.counters.malformedDropped++;
      return false;
    }
    const key = keyOf(from);
    const flow = flows.get(key);
    const remote = flow?.remote ?? from.toSocketAddress();
    // Whoever is banned costs a look into a table and one through the bytes.
    if (hub.refuses(remote, 'udp', () => shown(bytes, flow))) return false;
    if (!flow?.isKnown && !hub.hears(remote)) return false;
    // CRLF and double NUL keep NAT bindings open, and so does STUN (first byte 0 to 3), which wants an answer.
    if (first === 13 || first === 10 || first < 4) {
      if (bytes.length <= 4) {
        hub.counters.keepAlives++;
        return false;
      }
      if (first < 4) {
        stun(bytes, from);
        return false;
      }
    }
    const own = flow ?? newFlow(key, remote, remote.port);
    // Strangers shall not make everybody wait for what is gathered.
    return hub.receive(bytes, own, listeningAt) && own.isKnown === true;
  };
  return {
    local,
    flowTo: (remote) => known(flowOf(remote, remote.port)),
    flowToServer: (remote) => {
      const flow = known(flowOf(remote, remote.port));
      large.isServer(flow);
      return flow;
    },
    close: () => {
      open = false;
      flows.clear();
      return socket.close();
    },
  };
}

/** What nobody knows who might choose sources: V8 hashes numbers as they are, and many in one place would be slow. */
const [SECRET, OTHER_SECRET] = new Uint32Array(nodeCrypto.randomBytes(8).slice().buffer) as unknown as [number, number];
const ODD = 0x9e3779b1;

/** An IPv4 address and port fit into a number, each into its own. */
function keyOf(source: UdpEndpoint): FlowKey {
  if (source.family === 6) return socketKey(source.toSocketAddress());
  const address = Math.imul(source.a ^ SECRET, ODD) >>> 0;
  return address * 65_536 + (source.port ^ (OTHER_SECRET & 0xffff));
}

/** We have spoken first, or a process before this one has known who is there. */
function known(flow: Flow): Flow {
  flow.isKnown = true;
  return flow;
}
