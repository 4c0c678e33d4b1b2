import { resolve } from 'node:path';

/** What is needed here of a trunk's settings; the rest is passed on as it is. */
export interface TrunkSettings {
  readonly register?: { readonly password?: string; readonly passwordFile?: string };
  readonly callerId?: string;
  readonly optionsS?: number;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const FILES = ['ca', 'cert', 'key'] as const;

/** What a schema can't say of trunks, in words. */
export function trunkProblems(trunks: Readonly<Record<string, TrunkSettings>>): string[] {
  const problems: string[] = [];
  for (const [name, { register, callerId, tls, optionsS }] of Object.entries(trunks)) {
    if (register && (register.password === undefined) === (register.passwordFile === undefined))
      problems.push(`trunks.${name}.register: password or passwordFile, one of both is needed`);
    if (!register && callerId === undefined)
      problems.push(`trunks.${name}: callerId is needed where there is no register: the number that calls show`);
    if (optionsS !== undefined && optionsS > 0 && optionsS < 5)
      problems.push(`trunks.${name}.optionsS has to be at least 5, or 0 for never`);
    if ((tls?.cert === undefined) !== (tls?.key === undefined))
      problems.push(`trunks.${name}.tls: a certificate and its key belong together`);
  }
  return problems;
}

/** Files are named relative to the configuration. */
export function withAbsolutePaths(
  trunks: Readonly<Record<string, TrunkSettings>>,
  base: string,
): Readonly<Record<string, TrunkSettings>> {
  const absolute = (path: string) => resolve(base, path);
  return Object.fromEntries(
    Object.entries(trunks).map(([name, trunk]) => {
      const { register, tls } = trunk;
      const file = register?.passwordFile;
      const files = FILES.flatMap((which) => (tls?.[which] === undefined ? [] : [[which, absolute(tls[which])]]));
      return [
        name,
        {
          ...trunk,
          ...(file === undefined ? {} : { register: { ...register, passwordFile: absolute(file) } }),
          ...(tls === undefined ? {} : { tls: { ...tls, ...Object.fromEntries(files) } }),
        },
      ];
    }),
  );
}
