export * from './registrar.ts';
