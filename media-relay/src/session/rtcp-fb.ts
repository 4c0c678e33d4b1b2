import { attributes, type MediaDescription } from '@offhook/core';

/** Whether a description names feedback of that kind for any payload type. */
export function saysFeedback(media: MediaDescription, feedback: string): boolean {
  return attributes(media, 'rtcp-fb').some((value) => value.slice(value.indexOf(' ') + 1).trim() === feedback);
}
