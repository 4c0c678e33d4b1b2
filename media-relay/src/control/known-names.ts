/** Keys of rtpengine and of our own that this relay reads. */
const READ = `command call-id from-tag to-tag sdp via-branch label from-label set-label to-label flags rtpp-flags supports
 transport-protocol ICE DTLS DTLS-reverse DTLS-fingerprint SDES rtcp-mux replace received-from media-address address-family
 direction interface codec ptime delete-delay address all sip-message-type sip-code limit from-call-id kinds digits
 from-interface to-interface record-call OSRTP T.38 sdp-attr
 DTMF-security audio-player delay-buffer xmlrpc-callback`;

/** Keys of commands that are refused. */
const REFUSED_KEYS = `file blob db-id repeat-times start-pos code duration volume pause output-destination
 from-tags to-tags trigger end-trigger`;

/** Keys that mean what this relay does anyway, or something that nobody misses: taken without a word. */
const HARMLESS_KEYS = `ICE-lite endpoint-learning TOS metadata generate-RTCP`;

const HARMLESS_FLAGS = `asymmetric symmetric strict-source SIP-source-address loop-protect port-latching
 no-port-latching full-rtcp-attribute no-rtcp-attribute generate-mid pad-crypto reset all debug debugging
 reuse-codecs no-codec-renegotiation unidirectional media-handover pierce-NAT NAT-wait strip-extmap early-media
 endpoint-learning-off endpoint-learning-immediate endpoint-learning-delayed endpoint-learning-heuristic`;

/** Read, each at its place. */
const READ_FLAGS = `opaque silent stand-in trust-address fatal internal external pause inject-DTMF record-call
 always-transcode audio-player DTMF-security`;

const set = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));
const KEYS = set(`${READ} ${REFUSED_KEYS} ${HARMLESS_KEYS}`);
const FLAGS = set(`${READ_FLAGS} ${HARMLESS_FLAGS}`);

export function isKnownKey(name: string): boolean {
  return KEYS.has(name);
}

export function isKnownFlag(name: string): boolean {
  return FLAGS.has(name);
}
