export { type QualityNews, QualityReports } from './reports.ts';
