export * from './context.ts';
export * from './profile.ts';
export { MAX_SSRCS, REPLAY_WINDOW } from './replay.ts';
