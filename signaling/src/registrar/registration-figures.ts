import { Histogram, series } from '@offhook/core';

/** Seconds. */
const DELAYS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 32];

/** The figures of RFC 6076 for registrations; a challenge and the REGISTER with the password count as one attempt. */
export class RegistrationFigures {
  succeeded = 0;
  /** Ineffective registration attempts (4.2): refused with 4xx, 5xx or 6xx other than a challenge, or not answered. */
  ineffective = 0;
  /**
   * Registration request delay (4.1): first REGISTER to 200, the challenge in between. Who is asked to register only knows
   * how long its own part of it takes.
   */
  readonly delay = new Histogram(DELAYS_S);

  /** A final answer; a challenge decides nothing. */
  answered(status: number): void {
    if (status < 300) this.succeeded++;
    else if (status >= 400 && status !== 401 && status !== 402 && status !== 407) this.ineffective++;
  }

  get ratio(): number | undefined {
    const all = this.succeeded + this.ineffective;
    return all === 0 ? undefined : this.ineffective / all;
  }
}

/** By Prometheus name: `<name>_attempts_total{outcome}` and `<name>_ineffective_ratio`. */
export function registrationFigures(
  { succeeded, ineffective, ratio }: RegistrationFigures,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Record<string, number> {
  return {
    [series(`${name}_attempts_total`, { ...labels, outcome: 'registered' })]: succeeded,
    [series(`${name}_attempts_total`, { ...labels, outcome: 'ineffective' })]: ineffective,
    ...(ratio === undefined ? {} : { [series(`${name}_ineffective_ratio`, labels)]: ratio }),
  };
}
