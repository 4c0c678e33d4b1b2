export * from './lite.ts';
export * from './mux.ts';
export * from './session.ts';
