export { followLayerReports, readLayerReports } from './reports.ts';
export { MAX_LAYERS, PictureKind, Simulcast } from './simulcast.ts';
