import { readFileSync } from 'node:fs';
import type { TrunkConfigs } from '../trunk/index.ts';

/** Trunks with the passwords that lie in files; a file that can't be read is an error in words. */
export function withPasswords(trunks: TrunkConfigs): TrunkConfigs {
  return Object.fromEntries(
    Object.entries(trunks).map(([name, trunk]) => {
      const file = trunk.register?.passwordFile;
      if (!trunk.register || file === undefined) return [name, trunk];
      return [name, { ...trunk, register: { ...trunk.register, password: firstLine(file, name) } }];
    }),
  );
}

function firstLine(file: string, trunk: string): string {
  const words = `trunks.${trunk}.register.passwordFile`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${words}: ${(error as Error).message}`);
  }
  const line = text.split(/\r?\n/, 1)[0]!;
  if (line === '' || line.length > 1024) throw new Error(`${words}: ${file} has no password in its first line`);
  return line;
}
