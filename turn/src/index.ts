export { type TurnConfig, turnConfigProblems } from './config.ts';
export { DEFAULT_LIMITS, type TurnLimits } from './limits.ts';
export { PeerPolicy, type PeerRule } from './peer-policy.ts';
export { startTurn } from './start.ts';
export { type TurnCommand, TurnServer, type TurnServerOptions, Verdict, type VerdictValue } from './turn-server.ts';
