/** What a user wants done with calls. */
export interface UserSettings {
  readonly doNotDisturb: boolean;
  readonly forward: {
    /** Where calls go at once, when the user is busy or declines, and when nobody answers or is signed in. */
    readonly always?: string;
    readonly busy?: string;
    readonly noAnswer?: string;
    /** How long the user's phones ring before that. */
    readonly noAnswerS: number;
  };
}

export const DEFAULT_SETTINGS: UserSettings = { doNotDisturb: false, forward: { noAnswerS: 20 } };
