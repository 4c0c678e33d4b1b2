export * from './context.ts';
export * from './profile.ts';
export { MAX_WINDOWS, REPLAY_WINDOW } from './replay.ts';
export * from './ssrc-map.ts';
