import { Logger } from '@nestjs/common';
import { showId } from '../../kernel/ids.ts';

export type SecurityEvent =
  | 'log-in'
  | 'log-in-failed'
  | 'log-out'
  | 'refresh-token-reused'
  | 'sessions-ended'
  | 'password-changed'
  | 'password-refused'
  | 'password-reset-made'
  | 'password-reset'
  | 'email-changed'
  | 'role-changed'
  | 'user-disabled'
  | 'user-enabled'
  | 'account-limits-changed'
  | 'account-frozen'
  | 'account-unfrozen'
  | 'account-closed';

interface Details {
  /** Whom it is about, who need not be the one who asks; null for an address or token that nobody has. */
  readonly userId?: string | null;
  readonly sessionId?: string;
  readonly accountId?: string | null;
  readonly [detail: string]: unknown;
}

const logger = new Logger('Security');
const alarming: ReadonlySet<SecurityEvent> = new Set(['log-in-failed', 'refresh-token-reused', 'password-refused']);

/**
 * Writes one line about what somebody who looks into an incident asks for (ASVS 16.3.1). The line of a request says by itself who asked, from which
 * address, and with which id. Nothing that is secret or personal may be in `details`. After the commit: what was rolled back did not happen.
 */
export function noteSecurityEvent(event: SecurityEvent, { userId, sessionId, accountId, ...details }: Details): void {
  const line = {
    event,
    ...(userId !== undefined && { subjectId: userId === null ? null : showId('usr', userId) }),
    ...(sessionId !== undefined && { subjectSessionId: showId('ses', sessionId) }),
    ...(typeof accountId === 'string' && { accountId: showId('acct', accountId) }),
    ...details,
  };
  if (alarming.has(event)) logger.warn(line, 'security event');
  else logger.log(line, 'security event');
}
