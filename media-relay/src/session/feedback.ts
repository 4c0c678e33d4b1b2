import type { FeedbackTap } from '../rtcp/index.ts';
import type { Leg } from './leg.ts';

/** Who takes part in the feedback of a leg's peer before it goes on: rates first, then the repair of pictures. */
export function configureFeedback(leg: Leg): void {
  for (const { reports, rates, repair } of leg.transports()) {
    if (reports) reports.feedback = rates && repair ? inTurn(rates, repair) : (rates ?? repair);
  }
}

function inTurn(first: FeedbackTap, second: FeedbackTap): FeedbackTap {
  return {
    handleFeedback: (bytes, at, nowMs) =>
      first.handleFeedback(bytes, at, nowMs) && second.handleFeedback(bytes, at, nowMs),
  };
}
