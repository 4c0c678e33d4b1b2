/** A server under test, on one core with all its processes. */
export interface Server {
  readonly name: string;
  /** SIP over UDP, on 127.0.0.1. */
  readonly port: number;
  /** Nanoseconds on the processor so far. */
  cpuNs(): number;
  rssKb(): number;
  /** How it was started, for those who want to do it again. */
  readonly command: string;
  readonly settings: string;
  stop(): Promise<void>;
}
