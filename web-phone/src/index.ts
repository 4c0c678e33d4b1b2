/** What other folders may know of the phone: its address options and its words. */
export { loginToken, type UrlOptions, urlOptions } from './settings.ts';
export { callEndWords } from './ua/call-end.ts';
export { linkWords, type Message, mediaWords } from './ua/messages.ts';
