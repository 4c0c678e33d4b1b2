/** What becomes of a call to a user part, decided once when the INVITE comes in. */
export type Route =
  | { readonly kind: 'ring'; readonly user: string }
  | { readonly kind: 'echo' }
  | { readonly kind: 'reject'; readonly status: number; readonly reason: string };

/** Numbers that the system itself answers. */
export const SERVICES: Readonly<Record<string, { readonly route: Route; readonly name: string }>> = {
  '600': { route: { kind: 'echo' }, name: 'Echo: hear yourself' },
};

/** Service numbers first, then users. */
export function route(user: string | undefined, isUser: (user: string) => boolean): Route {
  if (user === undefined || user === '') return { kind: 'reject', status: 404, reason: 'the address names no user' };
  const service = Object.hasOwn(SERVICES, user) ? SERVICES[user] : undefined;
  if (service) return service.route;
  if (isUser(user)) return { kind: 'ring', user };
  return { kind: 'reject', status: 404, reason: `there is no user '${user}' here` };
}
