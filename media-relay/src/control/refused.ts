const NO_SOUND = 'this relay forwards packets and neither decodes nor makes audio yet';
const recording = `no recorder: ${NO_SOUND}, so nothing can be written to a file`;
const player = `no player: ${NO_SOUND}, so nothing can be played into a call`;
const subscription = 'no subscriptions: a call here has two peers at a time, so media cannot be sent to a third';

/** Commands of rtpengine that are known and can't be carried out, with what is missing. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ['start recording', recording],
  ['stop recording', recording],
  ['pause recording', recording],
  ['start forwarding', recording],
  ['stop forwarding', recording],
  ['play media', player],
  ['stop media', player],
  ['play DTMF', `no tone sender: ${NO_SOUND}; send the digits as telephone events from a peer, or by SIP INFO`],
  [
    'silence media',
    `no silence: ${NO_SOUND}, and silence would have to be made in the call's codec; 'block media' works`,
  ],
  ['unsilence media', `nothing was silenced: ${NO_SOUND}; 'unblock media' undoes 'block media'`],
  ['publish', subscription],
  ['subscribe request', subscription],
  ['subscribe answer', subscription],
  ['unsubscribe', subscription],
  ['transform', `no transcoder: ${NO_SOUND}`],
]);
