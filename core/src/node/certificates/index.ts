export * from './facts.ts';
export * from './files.ts';
export * from './own.ts';
export * from './server-certificate.ts';
export * from './trouble.ts';
