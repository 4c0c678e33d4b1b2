/** Keys that are read, by what they set. */
export const READ = [
  ...['listening-ip', 'listening-port', 'tls-listening-port', 'alt-listening-port', 'relay-ip', 'external-ip'],
  ...[
    'min-port',
    'max-port',
    'relay-threads',
    'realm',
    'use-auth-secret',
    'static-auth-secret',
    'lt-cred-mech',
    'user',
  ],
  ...['cert', 'pkey', 'no-udp', 'no-tcp', 'no-tls', 'rfc5780', 'no-rfc5780', 'user-quota', 'total-quota', 'max-bps'],
  ...['unauthorized-ratelimit-rps', 'stateless-nonce-secret', 'allowed-peer-ip', 'denied-peer-ip', 'alternate-server'],
] as const;
export type ReadKey = (typeof READ)[number];

/** Ask for what is so here anyway, or for how coturn itself runs and logs. */
export const ALREADY_SO: ReadonlySet<string> = new Set([
  ...['no-cli', 'no-dtls', 'no-tcp-relay', 'no-multicast-peers', 'no-loopback-peers', 'fingerprint', 'no-tlsv1'],
  ...['no-tlsv1_1', 'no-sslv2', 'no-sslv3', 'no-stun-backward-compatibility', 'response-origin-only-with-rfc5780'],
  ...['no-software-attribute', 'prod', 'unauthorized-ratelimit', 'no-auth-pings', 'no-dynamic-ip-list'],
  ...['no-dynamic-realms', 'no-stdout-log', 'syslog-facility'],
  ...['new-log-timestamp', 'new-log-timestamp-format', 'log-binding', 'pidfile', 'daemon', 'dh566', 'dh1066', 'dh2066'],
  ...['ec-curve-name', 'ne', 'cli-max-output-sessions'],
]);

/** Keys with one value that is so here anyway, and what another one would mean. */
export const ONE_VALUE: Readonly<Record<string, { readonly value: string; readonly instead: string }>> = {
  'stale-nonce': { value: '600', instead: 'nonces are good for 600 s' },
  'max-allocate-lifetime': { value: '3600', instead: 'allocations are made or refreshed for at most 3600 s' },
  'permission-lifetime': { value: '300', instead: 'permissions last 300 s; browsers rely on that' },
  'channel-lifetime': { value: '600', instead: 'channels last 600 s; browsers rely on that' },
  'allocation-default-address-family': {
    value: 'ipv4',
    instead: 'who names no address family gets IPv4 (RFC 8656 7.2)',
  },
};

/** What would make the server unsafe, or keep everybody out: such a file is not served. */
export const REFUSED: Readonly<Record<string, string>> = {
  'no-auth': 'it lets everybody relay, unknown and unasked; take use-auth-secret with static-auth-secret',
  'allow-loopback-peers':
    'it opens every service of this machine to clients; name the address by allowed-peer-ip, as narrow as it can be',
  'server-relay': 'it takes packets from peers that nobody has permitted',
  'no-udp-relay': 'peers are reached over UDP only, so nothing would be left',
  'pkey-pwd': 'an encrypted key can’t be read: openssl pkey -in <key> -out <plain key>',
  'secret-key-file': 'there is no database of users; write user=name:password or static-auth-secret',
  ...Object.fromEntries(
    ['userdb', 'db', 'psql-userdb', 'sql-userdb', 'mysql-userdb', 'mongo-userdb', 'redis-userdb'].map((key) => [
      key,
      'users and secrets are not read from a database; write static-auth-secret, or user=name:password',
    ]),
  ),
};

const NO_ADMIN = 'not had with turn serve; all of Offhook has offhook turn status';
const NO_FIGURES = 'figures are not had with turn serve; all of Offhook has them at turn.http';
const NO_LOG = 'no log of clients is written; what goes wrong is told on standard error';

/** Known to coturn, without effect here: what happens instead. */
export const UNSUPPORTED: Readonly<Record<string, string>> = {
  'listening-device': 'the addresses are those of listening-ip',
  'relay-device': 'the addresses are those of relay-ip',
  'alt-tls-listening-port': 'TLS is had at tls-listening-port only',
  'tcp-proxy-port': 'the PROXY protocol is not spoken; connections show the proxy’s address',
  'aux-server': 'nothing listens there; write another listening-ip',
  'udp-self-balance': 'clients stay where they are; relay-threads share every port',
  'tls-alternate-server': 'alternate-server stands for TLS too',
  mobility: 'a client that changes its address makes a new allocation (no RFC 8016)',
  oauth: 'tokens are not taken (no RFC 7635)',
  'server-name': 'it is for OAuth, which is not had',
  'check-origin-consistency': 'ORIGIN is not looked at',
  'secure-stun': 'Binding is answered without credentials, within a limit for each address',
  'stun-only': 'TURN is served too',
  'no-stun': 'Binding is answered too',
  'bps-capacity': 'limits are for each allocation: max-bps',
  'max-allocate-timeout': 'nothing is kept of a client before its first signed request',
  'keep-address-family': 'who names no address family gets IPv4 (RFC 8656 7.2)',
  'CA-file': 'clients are not asked for certificates; credentials let them in',
  'cipher-list': 'TLS 1.2 with ECDHE and AEAD, and TLS 1.3',
  'no-tlsv1_2': 'TLS 1.2 stays, because clients without 1.3 need it',
  'no-tlsv1_3': 'TLS 1.3 stays',
  tlsv1: 'TLS 1.0 is not spoken',
  tlsv1_1: 'TLS 1.1 is not spoken',
  dtls: 'DTLS is not spoken',
  'dh-file': 'keys are agreed on by elliptic curves',
  'tcp-relay': 'peers are reached over UDP only (no RFC 6062)',
  'stun-backward-compatibility': 'RFC 3489 is not spoken',
  'software-attribute': 'the software is not told',
  cli: NO_ADMIN,
  'cli-ip': NO_ADMIN,
  'cli-port': NO_ADMIN,
  'cli-password': NO_ADMIN,
  'web-admin': NO_ADMIN,
  'web-admin-ip': NO_ADMIN,
  'web-admin-port': NO_ADMIN,
  'web-admin-listen-on-workers': NO_ADMIN,
  'acme-redirect': 'HTTP is not spoken on these ports',
  'redis-statsdb': NO_FIGURES,
  prometheus: NO_FIGURES,
  'prometheus-address': NO_FIGURES,
  'prometheus-port': NO_FIGURES,
  'prometheus-path': NO_FIGURES,
  'prometheus-username-labels': NO_FIGURES,
  'drain-min-allocations': 'not had with turn serve; all of Offhook has offhook turn drain',
  'multiplex-peer': 'every allocation has a port of its own',
  ...Object.fromEntries(['verbose', 'Verbose', 'log-file', 'syslog', 'simple-log'].map((key) => [key, NO_LOG])),
  'proc-user': 'start it as the user that it shall run as',
  'proc-group': 'start it as the user that it shall run as',
};
