export * from './trunks.ts';
