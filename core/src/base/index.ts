export * from './address.ts';
export * from './address-range.ts';
export * from './bytes.ts';
export * from './crypto.ts';
export * from './deadlines.ts';
export * from './figures.ts';
export * from './random.ts';
export * from './xml.ts';
