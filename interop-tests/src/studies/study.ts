/** One figure beside what it has to reach. */
export interface Check {
  readonly what: string;
  readonly figure: number;
  readonly aim: string;
  readonly isMet: boolean;
}

export interface Outcome {
  readonly checks: readonly Check[];
  /** Everything else that was measured. */
  readonly figures: Readonly<Record<string, unknown>>;
}

export interface StudyOptions {
  /** Where data folders and SIPp's files are made; whoever runs the study removes it. */
  readonly folder: string;
  /** Takes a line of progress. */
  readonly say: (words: string) => void;
  /** How long each phase lasts instead of what proves something: for trying out, or for a soak. */
  readonly seconds?: number;
  /** The rates that were found, for studies that load the server to its capacity. */
  readonly callsPerS?: number;
  readonly registersPerS?: number;
  /** A folder for a CPU profile of each step of the search for the call rate; it costs some of the rate. */
  readonly profiles?: string;
}

/** Something that takes longer than a test may, and ends with figures. */
export interface Study {
  readonly words: string;
  run(options: StudyOptions): Promise<Outcome>;
}

export function atMost(what: string, figure: number, limit: number): Check {
  return { what, figure: rounded(figure), aim: `at most ${limit}`, isMet: figure <= limit };
}

export function atLeast(what: string, figure: number, limit: number): Check {
  return { what, figure: rounded(figure), aim: `at least ${limit}`, isMet: figure >= limit };
}

export function exactly(what: string, figure: number, wanted: number): Check {
  return { what, figure, aim: `exactly ${wanted}`, isMet: figure === wanted };
}

export function rounded(figure: number): number {
  return Math.abs(figure) >= 100 ? Math.round(figure) : Math.round(figure * 1000) / 1000;
}
