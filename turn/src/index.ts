export type { TurnConfig, TurnListen, TurnPolicy } from './config.ts';
export { turnConfigProblems } from './config-problems.ts';
export { DEFAULT_LIMITS, type TurnLimits } from './limits.ts';
export { PeerPolicy } from './peers/peer-policy.ts';
export { type PeerRule, type PeerRules, peerRuleProblem } from './peers/peer-rule.ts';
export {
  type TurnCommand,
  TurnServer,
  type TurnServerOptions,
  Verdict,
  type VerdictValue,
} from './server/turn-server.ts';
export { startTurn } from './start.ts';
