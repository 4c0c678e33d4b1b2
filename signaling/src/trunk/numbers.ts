/** How numbers are written on a trunk, and dialled by its users. */
export interface NumberSettings {
  /** Country code, as `49`. None: numbers are passed as they come. */
  readonly country?: string;
  /** What is dialled before a country code; default 00, in country 1 (North America) 011. */
  readonly internationalPrefix?: string;
  /** What is dialled before an area code; default 0, in country 1 it is 1. Empty: there is none (Italy, Spain, Denmark). */
  readonly nationalPrefix?: string;
  /** A number of so many digits without any prefix is a national one; default in country 1: 10. */
  readonly nationalDigits?: number;
  /** e164 +4930123, digits 4930123, national 030123. */
  readonly format?: 'e164' | 'national' | 'digits';
}

/** E.164 6: at most fifteen digits, country code included. */
const E164 = /^\+[1-9]\d{1,14}$/;
const DIALLED = /^\+?[0-9*#]{1,32}$/;
/** A national number without prefix that is shorter is a service's or a local one: nobody knows where it belongs. */
const SHORTEST_NATIONAL = 7;

/** Between numbers as a trunk writes them and +E.164. */
export class NumberPlan {
  readonly #country: string;
  readonly #international: string;
  readonly #national: string;
  readonly #nationalDigits: number | undefined;
  readonly #format: NonNullable<NumberSettings['format']>;

  constructor(settings: NumberSettings = {}) {
    const northAmerica = settings.country === '1';
    this.#country = settings.country ?? '';
    this.#international = settings.internationalPrefix ?? (northAmerica ? '011' : '00');
    this.#national = settings.nationalPrefix ?? (northAmerica ? '1' : '0');
    this.#nationalDigits = settings.nationalDigits ?? (northAmerica ? 10 : undefined);
    this.#format = settings.format ?? 'e164';
  }

  /** What is wrong with settings, in words. */
  static problems(settings: NumberSettings): string[] {
    if (typeof settings !== 'object' || settings === null) return [' an object is needed'];
    const problems: string[] = [];
    const { country, internationalPrefix, nationalPrefix, nationalDigits, format } = settings;
    if (country !== undefined && !/^[1-9]\d{0,2}$/.test(country)) problems.push("country: a country code like '49'");
    for (const [name, prefix] of Object.entries({ internationalPrefix, nationalPrefix }))
      if (prefix !== undefined && !/^\d{0,5}$/.test(prefix)) problems.push(`${name}: up to five digits`);
    if (
      nationalDigits !== undefined &&
      !(Number.isInteger(nationalDigits) && nationalDigits >= 4 && nationalDigits <= 14)
    )
      problems.push('nationalDigits: from 4 to 14');
    if (format !== undefined && !['e164', 'national', 'digits'].includes(format))
      problems.push("format: 'e164', 'national' or 'digits'");
    else if (format === 'national' && country === undefined) problems.push('country: needed for the national format');
    return problems;
  }

  /** A number as a person dials it, in +E.164; what has no prefix (a service, a local number) stays as it is. */
  fromDialled(number: string): string | undefined {
    const plain = number.replace(/[\s().\-/]/g, '');
    if (!DIALLED.test(plain)) return undefined;
    if (plain.startsWith('+')) return E164.test(plain) ? plain : undefined;
    return this.#withPrefix(plain) ?? plain;
  }

  /** A number as the provider tells it, in +E.164 as far as that can be known. Any text may come in. */
  fromTrunk(number: string): string {
    const plain = number.replace(/[\s().\-/]/g, '');
    if (!DIALLED.test(plain)) return number;
    if (plain.startsWith('+')) return plain;
    // Where the country code is always there, nothing without a zero in front can be a national number.
    if (this.#format === 'digits' && plain.length >= SHORTEST_NATIONAL && /^[1-9]\d+$/.test(plain))
      return e164(plain) ?? plain;
    const known = this.#withPrefix(plain);
    if (known !== undefined) return known;
    // Providers leave the plus away; a person would not dial a country code without one.
    const hasCountry = this.#country !== '' && plain.startsWith(this.#country);
    return hasCountry && plain.length >= this.#country.length + SHORTEST_NATIONAL && /^\d+$/.test(plain)
      ? (e164(plain) ?? plain)
      : plain;
  }

  /** A number in the trunk's format; one that is not +E.164 as it is. */
  toTrunk(number: string): string {
    if (!number.startsWith('+')) return number;
    switch (this.#format) {
      case 'e164':
        return number;
      case 'digits':
        return number.slice(1);
      case 'national':
        return number.startsWith(`+${this.#country}`)
          ? `${this.#national}${number.slice(1 + this.#country.length)}`
          : `${this.#international}${number.slice(1)}`;
      default:
        return this.#format satisfies never;
    }
  }

  #withPrefix(plain: string): string | undefined {
    if (this.#country === '' || !/^\d+$/.test(plain)) return undefined;
    if (this.#international !== '' && plain.startsWith(this.#international))
      return e164(plain.slice(this.#international.length));
    if (this.#nationalDigits !== undefined) {
      if (plain.length === this.#nationalDigits) return e164(this.#country + plain);
      const bare = plain.slice(this.#national.length);
      return plain.startsWith(this.#national) && bare.length === this.#nationalDigits
        ? e164(this.#country + bare)
        : undefined;
    }
    if (this.#national === '') {
      // Closed numbering: what is long enough and does not begin with the country code is national.
      return plain.length >= SHORTEST_NATIONAL ? e164(this.#country + plain) : undefined;
    }
    return plain.startsWith(this.#national) ? e164(this.#country + plain.slice(this.#national.length)) : undefined;
  }
}

function e164(digits: string): string | undefined {
  const number = `+${digits}`;
  return E164.test(number) ? number : undefined;
}
