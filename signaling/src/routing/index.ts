export { AskedRoutes, type RouteCommand } from './asked.ts';
export { builtIn } from './built-in.ts';
export type { CallFacts, Decision, Directory, RingGroup, RingStep, Routed, Target } from './decision.ts';
export { asDialled } from './dialled.ts';
export { Router, type RoutingDirectory } from './router.ts';
export { checkRoutes, type RouteReport, tryRoutes } from './try.ts';
