export { type Binding, isPhone, isSender, secondsLeft } from './binding.ts';
export type { Gruu } from './gruu.ts';
export { isFlowFailure, targets } from './outbound.ts';
export { rerouted } from './path.ts';
export * from './registrar.ts';
export { RegistrationFigures, registrationFigures } from './registration-figures.ts';
