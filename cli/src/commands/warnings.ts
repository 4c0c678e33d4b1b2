import type { PartStatus } from '@offhook/core/node';

/** What a part that runs has to say of itself. */
export function warningsOf(status: { readonly details: PartStatus['details'] } | undefined): string[] {
  const warnings = status?.details.warnings;
  return Array.isArray(warnings) ? warnings.map(String) : [];
}
