export { type DtlsCertificate, makeCertificate } from './certificate.ts';
export { clientRandom, isClientHello } from './client-hello.ts';
export { DtlsEndpoint, liveDtlsEndpoints } from './endpoint.ts';
export * from './fingerprint.ts';
export { dtlsSelfTest } from './self-test.ts';
export * from './types.ts';
