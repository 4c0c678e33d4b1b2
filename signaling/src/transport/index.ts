export { limitsFor } from './descriptors.ts';
export * from './hub.ts';
export { listenNear } from './listen.ts';
export { OutgoingConnections, tlsPeerProblem } from './outgoing.ts';
export { listenTcp } from './tcp.ts';
export { listenTls, type TlsEvents } from './tls.ts';
export { type Listener, listenUdp } from './udp.ts';
export { acceptWebSocket, STRANGER_WEBSOCKET_OPTIONS, WEBSOCKET_OPTIONS } from './websocket.ts';
