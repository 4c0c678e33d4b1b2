export * from './locate.ts';
