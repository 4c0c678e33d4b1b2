/** One thing that `offhook doctor` looked at, in words. */
export interface Finding {
  readonly what: string;
  readonly state: 'good' | 'note' | 'bad';
  readonly words: string;
  /** How to mend it. */
  readonly remedy?: string;
}
