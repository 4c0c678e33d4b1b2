export const MESSAGE_SUMMARY = 'application/simple-message-summary';

/** What waits for a user (RFC 3842 3.5, message classes of RFC 3458): new and old ones; texts here are new until read. */
export function writeMessageSummary(user: string, domain: string, texts: number): string {
  return [
    `Messages-Waiting: ${texts > 0 ? 'yes' : 'no'}`,
    `Message-Account: sip:${user}@${domain}`,
    `Text-Message: ${texts}/0`,
    '',
  ].join('\r\n');
}
