import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { noteSecurityEvent } from '../../http/access/security-events.ts';
import { canonicalEmail } from '../../kernel/email.ts';
import { newId } from '../../kernel/ids.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { CredentialsService } from '../users/credentials.service.ts';
import { checkPassword, type PasswordHash } from '../users/passwords.ts';
import type { Credentials } from '../users/user.ts';
import { userProblems } from '../users/users.problems.ts';
import { hashOf, SessionTokens, type SignedIn } from './session-tokens.ts';
import { sessionProblems } from './sessions.problems.ts';
import { SessionsRepository } from './sessions.repository.ts';
import type { NewSession } from './sessions.schema.ts';

@Injectable()
export class LogInsService {
  constructor(
    private readonly sessions: SessionsRepository,
    private readonly credentials: CredentialsService,
    private readonly tokens: SessionTokens,
  ) {}

  /** Throws wrong-credentials, the same for an unknown person and a wrong password, and user-disabled to who knows the password. */
  async logIn({ email, password }: NewSession) {
    const user = await this.credentials.findByEmail(canonicalEmail(email) ?? '');
    const checked = await checkPassword(user?.passwordHash ?? null, password);
    if (user === null || !checked.isRight) throw failed(user);
    if (user.isDisabled) throw userProblems.disabled('The user has been disabled.');
    const principal: SignedIn = { userId: user.id, role: user.role, sessionId: newId(), email: user.email };
    const refreshToken = randomBytes(32).toString('base64url');
    const begin = { id: principal.sessionId, tokenHash: hashOf(refreshToken) };
    const now = await (checked.better === null
      ? this.begin(user, begin)
      : this.beginBetter(user, checked.better, begin));
    if (now === null) throw failed(user);
    noteSecurityEvent('log-in', { userId: user.id, sessionId: principal.sessionId });
    return this.tokens.answer(principal, refreshToken, now);
  }

  /** Keeps the better hash of the same password with the session. */
  @Transactional()
  async beginBetter(user: Credentials, better: PasswordHash, begun: Begun): Promise<Date | null> {
    await this.credentials.keepBetter(user.id, user.passwordHash, better);
    return this.begin({ ...user, passwordHash: better }, begun);
  }

  private begin(user: Pick<Credentials, 'id' | 'passwordHash'>, { id, tokenHash }: Begun): Promise<Date | null> {
    return this.sessions.create(id, user, tokenHash, this.tokens.lives);
  }
}

interface Begun {
  readonly id: string;
  readonly tokenHash: Uint8Array<ArrayBuffer>;
}

function failed(user: Credentials | null): Error {
  noteSecurityEvent('log-in-failed', { userId: user?.id ?? null });
  return sessionProblems.wrongCredentials('The e-mail address or the password is wrong.');
}
