export * from './hub.ts';
export { listenNear } from './listen.ts';
export { listenTcp } from './tcp.ts';
export { type Listener, listenUdp } from './udp.ts';
export { acceptWebSocket, WEBSOCKET_OPTIONS } from './websocket.ts';
