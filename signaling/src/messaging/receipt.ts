import { xmlText } from '@offhook/core';
import type { PagerMessage } from './message.ts';

/** The media type of delivery notifications (RFC 5438 12.1). */
export const RECEIPT = 'message/imdn+xml';

/**
 * A delivery notification (RFC 5438 7.2.1) of a message that was kept for a while. The messages here have no CPIM header, so
 * the message is named by its sender's Call-ID.
 */
export function receipt({ callId, sentAt }: PagerMessage, recipient: string, status: 'delivered' | 'failed'): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<imdn xmlns="urn:ietf:params:xml:ns:imdn">',
    `<message-id>${xmlText(callId)}</message-id>`,
    `<datetime>${new Date(sentAt).toISOString()}</datetime>`,
    `<recipient-uri>${xmlText(recipient)}</recipient-uri>`,
    `<delivery-notification><status><${status}/></status></delivery-notification>`,
    '</imdn>',
    '',
  ].join('\r\n');
}
