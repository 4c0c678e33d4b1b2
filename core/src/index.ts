/** The pure protocol kit: no Node, no npm, no clock. Everything here runs in a browser as it is. */
export * from './base/index.ts';
export * from './link/index.ts';
export * from './ng/index.ts';
export * from './quality/index.ts';
export * from './rtp/index.ts';
export * from './sdp/index.ts';
export * from './sim/index.ts';
export * from './sip/index.ts';
export * from './stun/index.ts';
