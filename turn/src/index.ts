export type { TurnConfig, TurnListen, TurnPolicy } from './config.ts';
export { turnConfigProblems } from './config-problems.ts';
export { type CoturnReading, type ReaderOptions, readCoturnConf } from './coturn/reader.ts';
export {
  COTURN_VERSIONS,
  type CoturnSettings,
  type CoturnUser,
  type CoturnVersion,
  coturnVersionFor,
} from './coturn/settings.ts';
export { writeCoturnUsers } from './coturn/users.ts';
export { type CoturnConf, writeCoturnConf } from './coturn/writer.ts';
export { DEFAULT_LIMITS, type TurnLimits } from './limits.ts';
export { PeerPolicy } from './peers/peer-policy.ts';
export { type PeerRule, type PeerRules, peerRuleProblem } from './peers/peer-rule.ts';
export { type TurnCommand, Verdict, type VerdictValue } from './server/commands.ts';
export type { TurnServerOptions } from './server/options.ts';
export { TurnServer } from './server/turn-server.ts';
export { startTurn } from './start.ts';
