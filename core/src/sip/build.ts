import { utf8 } from '../base/index.ts';
import { SipMessage } from './message.ts';

const EMPTY = new Uint8Array(0);

/** A new request without Via: the transaction layer adds it. */
export function createRequest(options: {
  method: string;
  uri: string;
  from: string;
  to: string;
  callId: string;
  cseq: number;
  maxForwards?: number;
  headers?: readonly (readonly [name: string, value: string | number])[];
  body?: { type: string; bytes: Uint8Array | string };
}): SipMessage {
  const message = new SipMessage(
    { kind: 'request', method: options.method, uri: options.uri },
    { raw: EMPTY, fields: [], body: EMPTY },
  );
  message.add('max-forwards', options.maxForwards ?? 70);
  message.add('from', options.from).add('to', options.to);
  message.add('call-id', options.callId).add('cseq', `${options.cseq} ${options.method}`);
  for (const [name, value] of options.headers ?? []) message.add(name, value);
  if (options.body) message.setBody(options.body.type, options.body.bytes);
  return message;
}

/**
 * A response to a request (RFC 3261 8.2.6): Via, From, To, Call-ID, CSeq and (below 300, in dialogs) Record-Route are
 * copied as they came; a To tag is added when the request has none. What a malformed request lacks, its answer lacks.
 */
export function createResponse(
  request: SipMessage,
  status: number,
  reason: string = reasonPhrase(status),
  options: {
    toTag?: string;
    headers?: readonly (readonly [name: string, value: string | number])[];
    body?: { type: string; bytes: Uint8Array | string };
  } = {},
): SipMessage {
  const clean = reason.replace(/[\r\n\0]+/g, ' ');
  const message = new SipMessage(
    { kind: 'response', method: request.method, status, reason: clean },
    { raw: EMPTY, fields: [], body: EMPTY },
  );
  for (const via of request.headers('via')) message.add('via', via);
  if (status < 300) for (const route of request.headers('record-route')) message.add('record-route', route);
  const copy = (name: string, add = '') => {
    const value = request.header(name);
    if (value !== undefined && value !== '') message.add(name, value + add);
  };
  copy('from');
  copy('to', options.toTag !== undefined && request.to.tag === undefined ? `;tag=${options.toTag}` : '');
  copy('call-id');
  copy('cseq');
  if (status === 100 && request.header('timestamp') !== undefined)
    message.add('timestamp', request.header('timestamp')!);
  for (const [name, value] of options.headers ?? []) message.add(name, value);
  if (options.body)
    message.setBody(
      options.body.type,
      typeof options.body.bytes === 'string' ? utf8(options.body.bytes) : options.body.bytes,
    );
  return message;
}

const PHRASES: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  182: 'Queued',
  183: 'Session Progress',
  199: 'Early Dialog Terminated',
  200: 'OK',
  202: 'Accepted',
  204: 'No Notification',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  305: 'Use Proxy',
  380: 'Alternative Service',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  410: 'Gone',
  412: 'Conditional Request Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  421: 'Extension Required',
  422: 'Session Interval Too Small',
  423: 'Interval Too Brief',
  428: 'Use Identity Header',
  429: 'Provide Referrer Identity',
  430: 'Flow Failed',
  433: 'Anonymity Disallowed',
  439: 'First Hop Lacks Outbound Support',
  440: 'Max-Breadth Exceeded',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  484: 'Address Incomplete',
  485: 'Ambiguous',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  489: 'Bad Event',
  491: 'Request Pending',
  493: 'Undecipherable',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
  580: 'Precondition Failure',
  600: 'Busy Everywhere',
  603: 'Decline',
  604: 'Does Not Exist Anywhere',
  606: 'Not Acceptable',
};

/** The reason phrase of the IANA registry, or that of the class. */
export function reasonPhrase(status: number): string {
  return PHRASES[status] ?? PHRASES[Math.floor(status / 100) * 100] ?? 'Unknown';
}
