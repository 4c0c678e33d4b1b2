/** Whether a port could not be opened because somebody has it. */
export function isInUse(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}
