/** What one client, one user and all together may hold and send. */
export interface TurnLimits {
  /** Allocations of one user (the part of the user name behind the time). A browser makes one per interface and TURN address. */
  readonly allocationsPerUser: number;
  /** Allocations in all. */
  readonly allocations: number;
  /** Per allocation. */
  readonly permissions: number;
  /** Per allocation. */
  readonly channels: number;
  /** Replies per second and source address to requests that nobody has signed, Binding included. */
  readonly unauthenticatedPerS: number;
  /** As many at once. */
  readonly unauthenticatedBurst: number;
  /** Relayed payload of one allocation, bytes per second in each direction; what is above is dropped, as a full link would. */
  readonly bytesPerS: number;
  /** The same in packets. */
  readonly packetsPerS: number;
  /** Of all allocations of one user together, in each direction. */
  readonly userBytesPerS: number;
  readonly userPacketsPerS: number;
  /** Signed requests of one user per second; what is above is dropped. */
  readonly userRequestsPerS: number;
  /** TCP and TLS connections in all. */
  readonly connections: number;
  /** TCP and TLS connections from one source (IPv6: /64); loopback is exempt. */
  readonly connectionsPerSource: number;
  /** How long a connection may stay without an allocation, seconds. */
  readonly connectionIdleS: number;
}

export const DEFAULT_LIMITS: TurnLimits = {
  allocationsPerUser: 20,
  allocations: 4000,
  permissions: 64,
  channels: 64,
  unauthenticatedPerS: 20,
  unauthenticatedBurst: 100,
  bytesPerS: 2_500_000,
  packetsPerS: 5000,
  userBytesPerS: 5_000_000,
  userPacketsPerS: 10_000,
  userRequestsPerS: 200,
  connections: 4000,
  connectionsPerSource: 200,
  connectionIdleS: 60,
};

/** RFC 8656 3.2 and 7.2: what a client gets that asks for less or nothing, and for more. */
export const DEFAULT_LIFETIME_S = 600;
export const MAX_LIFETIME_S = 3600;
/** How long the odd port of a pair is kept for its RESERVATION-TOKEN (RFC 8656 7.2). */
export const RESERVATION_MS = 30_000;
