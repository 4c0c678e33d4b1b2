import { EndpointTable, type UdpPort } from '@offhook/core/node';

/** One of the worker's shared ports: all WebRTC legs that reach us at this address. */
export class MuxPort {
  readonly udp: UdpPort;
  /** The address to put into candidates; differs from the bound one behind a static NAT or when bound to any. */
  readonly address: string;
  /** Validated source → `Transport.id`. */
  readonly flows: EndpointTable;

  constructor(udp: UdpPort, address: string, seed: number) {
    this.udp = udp;
    this.address = address;
    this.flows = new EndpointTable(seed);
  }
}
