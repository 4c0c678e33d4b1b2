export type { TurnConfig, TurnListen, TurnPolicy } from './config.ts';
export { turnConfigProblems } from './config-problems.ts';
export { DEFAULT_LIMITS, type TurnLimits } from './limits.ts';
export { PeerPolicy, type PeerRule } from './peers/peer-policy.ts';
export {
  type TurnCommand,
  TurnServer,
  type TurnServerOptions,
  Verdict,
  type VerdictValue,
} from './server/turn-server.ts';
export { startTurn } from './start.ts';
