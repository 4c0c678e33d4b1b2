/** What a figure means, in one line; docs/operating.md has the longer version. */
export function helpFor(family: string): string {
  const own = HELP[family];
  if (own !== undefined) return own;
  const [prefix, what] = GROUPS.find(([start]) => family.startsWith(start)) ?? ['', ''];
  return `${what}${family
    .slice(prefix.length)
    .replace(/_total$/, '')
    .replaceAll('_', ' ')}`;
}

/** Figures whose names say what they are, once it is said of what. */
const GROUPS: readonly (readonly [string, string])[] = [
  ['sip_call_', 'Calls: '],
  ['sip_message_', 'Messages between users: '],
  ['sip_subscription_', 'Subscriptions: '],
  ['sip_publication_', 'Published presence: '],
  ['sip_quality_report_', 'Voice quality reports of phones: '],
  ['sip_transaction_', 'SIP transactions: '],
  ['sip_auth_', 'Digest authentication: '],
  ['sip_bearer_', 'Bearer tokens: '],
  ['sip_transport_', 'SIP transports: '],
  ['sip_locate_', 'Name servers: '],
  ['sip_relay_', 'Media relays, as signalling asks them: '],
  ['sip_journal_', 'Journal: '],
  ['sip_trunk_', 'Trunk: '],
  ['sip_', 'SIP server: '],
  ['offhook_media_', 'Media relay: '],
  ['offhook_turn_', 'TURN server: '],
];

/** Words without backslashes or line ends. */
const HELP: Readonly<Record<string, string>> = {
  sip_session_requests_total:
    'INVITEs that began a call, by last answer: established 200, redirected 3xx, effective 480 486 600 603, ineffective 408 500 503 504, failed the rest',
  sip_session_request_delay_seconds: 'RFC 6076 SRD: INVITE to its first answer but 100',
  sip_session_disconnect_delay_seconds:
    'RFC 6076 SDD: BYE of this server to its 2xx (success), or to what else came of it',
  sip_session_duration_seconds: 'RFC 6076 SDT: 200 to BYE (completed), or to the end of waiting for the answer to BYE',
  sip_session_establishment_ratio: 'RFC 6076 SER since the start, 0 to 1',
  sip_session_establishment_effectiveness_ratio: 'RFC 6076 SEER since the start, 0 to 1',
  sip_session_ineffective_ratio: 'RFC 6076 ISA since the start, 0 to 1',
  sip_session_completion_ratio: 'RFC 6076 SCR since the start, 0 to 1',
  sip_registrar_attempts_total: 'REGISTER requests by what came of them; challenges count as nothing',
  sip_registrar_ineffective_ratio: 'RFC 6076 IRA of the phones since the start, 0 to 1',
  sip_registrar_processing_seconds:
    'From a REGISTER read to its answer written, challenges too: this server’s own part of RRD',
  sip_trunk_registration_attempts_total: 'Our registrations at providers by what came of them',
  sip_trunk_registration_ineffective_ratio: 'RFC 6076 IRA at a provider since the start, 0 to 1',
  sip_trunk_registration_request_delay_seconds: 'RFC 6076 RRD: REGISTER to 200, the challenge in between',
  sip_requests_total: 'SIP requests on the wire, repeated ones too; methods without a figure of their own are other',
  sip_responses_total: 'SIP responses on the wire, repeated ones too, by class of status',
  sip_transport_messages_total: 'SIP messages on the wire',
  sip_transport_bytes_total: 'Bytes of SIP messages, without keep-alives',
  sip_calls: 'Calls that ring or are talked',
  sip_messages: 'Messages between users that are kept',
  sip_subscriptions: 'Subscriptions to presence, busy lamps, waiting messages and registrations',
  sip_publications: 'Published presence that is good',
  sip_dialogs: 'SIP dialogs, early ones too',
  sip_transactions: 'SIP transactions, ended ones that still answer repeats too',
  sip_registrations: 'Contacts of phones',
  sip_connections: 'Open TCP, TLS and WebSocket connections',
  sip_relay_healthy: '1 when a media relay answers',
  sip_journal_waiting: 'Entries that wait for the disk',
  sip_internal_errors_total: 'Inputs that could not be handled: each is a bug',
  nodejs_eventloop_lag_seconds: 'How late the event loop was, looked at 20 times a second',
  nodejs_heap_size_used_bytes: 'Memory of JavaScript objects',
  nodejs_heap_size_total_bytes: 'Memory that is set apart for JavaScript objects',
  process_cpu_seconds_total: 'CPU time, user and system',
  process_open_fds: 'Open file descriptors',
  process_max_fds: 'File descriptors that may be open',
  process_start_time_seconds: 'Start of the process, Unix seconds',
  process_resident_memory_bytes: 'Resident memory',
  host_udp_receive_buffer_errors_total:
    'Datagrams lost to full receive buffers, of all programs of this host (network namespace)',
};
