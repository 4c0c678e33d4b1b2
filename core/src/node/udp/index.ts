export { type DatagramSocket, type DatagramSocketOptions, LONGEST_DATAGRAM, openDatagramSocket } from './datagrams.ts';
export { descriptorMemory, noteDescriptors } from './descriptors.ts';
export * from './endpoint.ts';
export * from './endpoint-table.ts';
export * from './open.ts';
export * from './port.ts';
