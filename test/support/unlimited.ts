/** Quotas that no test reaches but those which are about them. */
export const unlimited: Record<string, string> = Object.fromEntries(
  [
    'PER_PRINCIPAL',
    'PER_ADDRESS',
    'LOG_INS_PER_ADDRESS',
    'LOG_INS_PER_PAIR',
    'LOG_INS_PER_EMAIL',
    'SIGN_UPS_PER_ADDRESS',
    'PASSWORDS_PER_USER',
    'PREVIEWS_PER_PRINCIPAL',
  ].map((name) => [`RATE_LIMIT_${name}`, '1000000000']),
);
