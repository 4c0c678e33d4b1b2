export * from './attributes.ts';
export * from './session.ts';
