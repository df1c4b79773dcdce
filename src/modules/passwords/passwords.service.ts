import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { noteSecurityEvent } from '../../http/access/security-events.ts';
import { nobody, type Principal } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { SessionsService } from '../sessions/sessions.service.ts';
import { CredentialsService, passwordRefused } from '../users/credentials.service.ts';
import { checkPassword, hashNewPassword, type PasswordHash } from '../users/passwords.ts';
import { userProblems } from '../users/users.problems.ts';
import { PasswordResetsRepository } from './password-resets.repository.ts';
import { passwordProblems } from './passwords.problems.ts';
import type { NewPassword, PasswordChange } from './passwords.schema.ts';

const resetSeconds = 3600;
/** How long who has lost the answer may repeat a reset. */
const repeatSeconds = 30;

@Injectable()
export class PasswordsService {
  constructor(
    private readonly credentials: CredentialsService,
    private readonly resets: PasswordResetsRepository,
    private readonly sessions: SessionsService,
  ) {}

  /**
   * Another password for whoever knows the present one. The present session stays, the others end. Sent again after it was done it is done.
   * Throws wrong-password, weak-password.
   */
  async change(principal: Principal, { currentPassword, newPassword }: PasswordChange): Promise<void> {
    const { userId } = principal;
    const owner = found(await this.credentials.find(userId), userProblems.notFound);
    if (!(await checkPassword(owner.passwordHash, currentPassword)).isRight) {
      if ((await checkPassword(owner.passwordHash, newPassword)).isRight) return;
      throw passwordRefused(userId);
    }
    const better = await hashNewPassword(newPassword, owner, '/newPassword');
    if (await this.replace(principal, owner.passwordHash, better)) return;
    // Somebody was faster: a copy of this request, or another one.
    const now = await this.credentials.find(userId);
    if (now === null || !(await checkPassword(now.passwordHash, newPassword)).isRight) throw passwordRefused(userId);
  }

  /** False when the password was changed since it was looked at. */
  @Transactional()
  async replace({ userId, sessionId }: Principal, old: string, better: PasswordHash): Promise<boolean> {
    if (!(await this.credentials.replacePassword(userId, old, better))) return false;
    await this.sessions.endAll(userId, 'password_changed', sessionId);
    await this.resets.withdraw(userId);
    await this.credentials.addChanges({ userId, byId: userId, kind: 'password' });
    afterCommit(() => noteSecurityEvent('password-changed', { userId }));
    return true;
  }

  /** What sets a new password for this person, once, within an hour; whatever was made before is withdrawn. Throws user-not-found. */
  @Transactional()
  async makeReset(principal: Principal, userId: string) {
    const [user] = await this.credentials.lock([userId]);
    found(user, userProblems.notFound);
    await this.resets.withdraw(userId);
    const token = randomBytes(32).toString('base64url');
    const expiresAt = await this.resets.create(
      { hash: hashOf(token), userId, createdById: principal.userId },
      resetSeconds,
    );
    await this.credentials.addChanges({ userId, byId: principal.userId, kind: 'password_reset_made' });
    afterCommit(() => noteSecurityEvent('password-reset-made', { userId }));
    return { userId, token, expiresAt };
  }

  /**
   * Sets a new password for whoever shows the token, and ends all sessions. The token works once; the same request is answered alike for some
   * seconds. Throws invalid-reset-token, weak-password.
   */
  async reset({ token, newPassword }: NewPassword): Promise<void> {
    const hash = hashOf(token);
    const known = await this.resets.find(hash, repeatSeconds);
    if (known === null || known.state === 'over') throw invalidToken();
    if (known.state === 'open') {
      const better = await hashNewPassword(newPassword, known, '/newPassword');
      if (await this.redeem(hash, known.userId, better)) return;
    }
    const now = await this.credentials.find(known.userId);
    const isRepeated = now !== null && (await checkPassword(now.passwordHash, newPassword)).isRight;
    if (!isRepeated) throw invalidToken();
  }

  /** False when somebody else has used it meanwhile. */
  @Transactional()
  async redeem(hash: Uint8Array<ArrayBuffer>, userId: string, better: PasswordHash): Promise<boolean> {
    const [user] = await this.credentials.lock([userId]);
    if (user?.disabledAt !== null || !(await this.resets.use(hash))) return false;
    await this.credentials.setPassword(userId, better);
    await this.resets.withdraw(userId);
    await this.sessions.endAll(userId, 'password_changed');
    await this.credentials.addChanges({ userId, byId: nobody, kind: 'password_reset' });
    afterCommit(() => noteSecurityEvent('password-reset', { userId }));
    return true;
  }

  /** What was made for a person and not used can no longer be. Within the boundary of whoever asks. */
  withdrawResets(userId: string): Promise<void> {
    return this.resets.withdraw(userId);
  }
}

const invalidToken = (): Error =>
  passwordProblems.invalidResetToken('The token is not valid, or was used. Have another one made.');

const hashOf = (token: string): Uint8Array<ArrayBuffer> => new Uint8Array(createHash('sha256').update(token).digest());
