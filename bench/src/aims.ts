/** What a figure should be at most; a bench's last line tells them all: `{"aims": […]}`. */
export interface Aim {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly ok: boolean;
}
