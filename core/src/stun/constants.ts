/** The magic cookie of every STUN message (RFC 8489 5). */
export const STUN_COOKIE = 0x2112a442;
/** Bytes of the header in front of the attributes. */
export const STUN_HEADER = 20;

/** Two class bits (RFC 8489 5), already put together. */
export const StunClass = { request: 0, indication: 1, success: 2, error: 3 } as const;
export type StunClassValue = (typeof StunClass)[keyof typeof StunClass];

/** Methods of STUN (RFC 8489 18.2) and TURN (RFC 8656 17). */
export const StunMethod = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
  channelBind: 0x009,
} as const;

/** Attributes of STUN (RFC 8489 18.3), TURN (RFC 8656 18), ICE (RFC 8445 16.1) and NAT behaviour discovery (RFC 5780 9.1). */
export const StunAttribute = {
  mappedAddress: 0x0001,
  changeRequest: 0x0003,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  channelNumber: 0x000c,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  evenPort: 0x0018,
  requestedTransport: 0x0019,
  dontFragment: 0x001a,
  messageIntegritySha256: 0x001c,
  passwordAlgorithm: 0x001d,
  userhash: 0x001e,
  xorMappedAddress: 0x0020,
  reservationToken: 0x0022,
  priority: 0x0024,
  useCandidate: 0x0025,
  padding: 0x0026,
  responsePort: 0x0027,
  additionalAddressFamily: 0x8000,
  addressErrorCode: 0x8001,
  passwordAlgorithms: 0x8002,
  alternateDomain: 0x8003,
  icmp: 0x8004,
  software: 0x8022,
  alternateServer: 0x8023,
  fingerprint: 0x8028,
  iceControlled: 0x8029,
  iceControlling: 0x802a,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const;
