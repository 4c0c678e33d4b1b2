/** Scenarios on bad networks. */
export {
  reportTable,
  type SetupUnderLossOptions,
  type SetupUnderLossReport,
  setupUnderLoss,
} from './setup-loss/index.ts';
