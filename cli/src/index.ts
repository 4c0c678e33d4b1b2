/** The composition root's parts that tests and other tools build on; the command itself is `bin/offhook.mjs`. */
export { type Config, ConfigError, loadConfig } from './config/config.ts';
export { composeParts } from './parts.ts';
export type { PartSpec, Ports } from './supervisor/spec.ts';
export { type PartReport, Supervisor, type SupervisorOptions } from './supervisor/supervisor.ts';
