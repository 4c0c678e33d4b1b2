import { VQ_EVENT, VQ_TYPE, type VqReport, writeVqReport } from '@offhook/core';
import type { UserAgent } from 'sip.js';

/** A server that answers so has no use for reports. */
const UNWANTED: ReadonlySet<number> = new Set([405, 489, 501]);

/** How calls sound, published to the server (RFC 6035). A report that is lost is not missed: the next one comes. */
export class SipjsReports {
  readonly #userAgent: UserAgent;
  #isWanted = true;

  constructor(userAgent: UserAgent) {
    this.#userAgent = userAgent;
  }

  send(report: VqReport): void {
    const { userAgentCore, configuration, transport } = this.#userAgent;
    if (!this.#isWanted || !transport.isConnected()) return;
    const collector = configuration.uri.clone();
    collector.user = undefined;
    const message = userAgentCore.makeOutgoingRequestMessage(
      'PUBLISH',
      collector,
      configuration.uri,
      collector,
      {},
      [`Event: ${VQ_EVENT}`, 'Expires: 0'],
      { contentDisposition: 'render', contentType: VQ_TYPE, content: writeVqReport(report) },
    );
    userAgentCore.publish(message, {
      onReject: ({ message: { statusCode } }) => {
        if (UNWANTED.has(statusCode ?? 0)) this.#isWanted = false;
      },
    });
  }
}
