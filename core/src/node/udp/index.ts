export * from './endpoint.ts';
export * from './endpoint-table.ts';
export * from './open.ts';
export * from './port.ts';
