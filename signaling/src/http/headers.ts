const FIXED: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy':
    'camera=(self), microphone=(self), speaker-selection=(self), geolocation=(), payment=(), usb=()',
};

/**
 * Security headers of every answer. The page gets nothing from elsewhere and nothing inline; some browsers do not count
 * the WebSocket of the same host as 'self', so it is named.
 */
export function securityHeaders(host: string | undefined): Record<string, string> {
  const named = host !== undefined && /^[A-Za-z0-9.:[\]_-]{1,255}$/.test(host) ? ` ws://${host} wss://${host}` : '';
  const policy = [
    "default-src 'self'",
    `connect-src 'self'${named}`,
    "media-src 'self' blob: mediastream:",
    "img-src 'self' data: blob:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ];
  return { ...FIXED, 'Content-Security-Policy': policy.join('; ') };
}
