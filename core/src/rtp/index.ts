export * from './demux.ts';
export * from './extension.ts';
export * from './header.ts';
export * from './rtcp.ts';
export * from './rtcp-read.ts';
export * from './rtcp-write.ts';
export * from './xr.ts';
