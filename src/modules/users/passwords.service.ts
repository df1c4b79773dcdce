import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { noteSecurityEvent } from '../../http/security-events.ts';
import { found, invalid, unauthorized } from '../../kernel/errors.ts';
import { nobody, type Principal } from '../../kernel/principal.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { CredentialsRepository } from './credentials.repository.ts';
import { PasswordResetsRepository } from './password-resets.repository.ts';
import { checkPassword, hashNewPassword, type PasswordHash } from './passwords.ts';
import type { NewPassword, PasswordChange } from './passwords.schema.ts';
import { SessionsService } from './sessions.service.ts';
import { UserChangesRepository } from './user-changes.repository.ts';
import { UsersRepository } from './users.repository.ts';

const resetSeconds = 3600;
/** How long who has lost the answer may repeat a reset. */
const repeatSeconds = 30;

@Injectable()
export class PasswordsService {
  constructor(
    private readonly credentials: CredentialsRepository,
    private readonly users: UsersRepository,
    private readonly resets: PasswordResetsRepository,
    private readonly changes: UserChangesRepository,
    private readonly sessions: SessionsService,
  ) {}

  /** Throws wrong-password, and temporary-reduced-capacity. Hashing takes long, so it is done before any boundary. */
  async demandPassword(userId: string, typed: string): Promise<string> {
    const { passwordHash } = found(await this.credentials.find(userId), 'user-not-found', 'There is no such user.');
    if (!(await checkPassword(passwordHash, typed)).isRight) throw refused(userId);
    return passwordHash;
  }

  /**
   * Another password for whoever knows the present one. The present session stays, the others end. Sent again after it was done it is done.
   * Throws wrong-password, weak-password.
   */
  async change(principal: Principal, { currentPassword, newPassword }: PasswordChange): Promise<void> {
    const { userId } = principal;
    const owner = found(await this.credentials.find(userId), 'user-not-found', 'There is no such user.');
    if (!(await checkPassword(owner.passwordHash, currentPassword)).isRight) {
      if ((await checkPassword(owner.passwordHash, newPassword)).isRight) return;
      throw refused(userId);
    }
    const better = await hashNewPassword(newPassword, owner, '/newPassword');
    if (await this.replace(principal, owner.passwordHash, better)) return;
    // Somebody was faster: a copy of this request, or another one.
    const now = await this.credentials.find(userId);
    if (now === null || !(await checkPassword(now.passwordHash, newPassword)).isRight) throw refused(userId);
  }

  /** False when the password was changed since it was looked at. */
  @Transactional()
  async replace({ userId, sessionId }: Principal, old: string, better: PasswordHash): Promise<boolean> {
    if (!(await this.users.replacePassword(userId, old, better))) return false;
    await this.sessions.endAll(userId, 'password_changed', sessionId);
    await this.resets.withdraw(userId);
    await this.changes.add({ userId, byId: userId, kind: 'password' });
    afterCommit(() => noteSecurityEvent('password-changed', { userId }));
    return true;
  }

  /** What sets a new password for this person, once, within an hour; whatever was made before is withdrawn. Throws user-not-found. */
  @Transactional()
  async makeReset(principal: Principal, userId: string) {
    const [user] = await this.users.lock([userId]);
    found(user, 'user-not-found', 'There is no such user.');
    await this.resets.withdraw(userId);
    const token = randomBytes(32).toString('base64url');
    const expiresAt = await this.resets.create(
      { hash: hashOf(token), userId, createdById: principal.userId },
      resetSeconds,
    );
    await this.changes.add({ userId, byId: principal.userId, kind: 'password_reset_made' });
    afterCommit(() => noteSecurityEvent('password-reset-made', { userId }));
    return { userId, token, expiresAt };
  }

  /**
   * Sets a new password for whoever shows the token, and ends all sessions. The token works once; the same request is answered alike for some
   * seconds. Throws invalid-reset-token, weak-password.
   */
  async reset({ token, newPassword }: NewPassword): Promise<void> {
    const hash = hashOf(token);
    const known = await this.credentials.findByReset(hash, repeatSeconds);
    if (known === null || known.state === 'over') throw invalidToken();
    if (known.state === 'open') {
      const better = await hashNewPassword(newPassword, known, '/newPassword');
      if (await this.redeem(hash, known.id, better)) return;
    }
    const now = await this.credentials.find(known.id);
    const isRepeated = now !== null && (await checkPassword(now.passwordHash, newPassword)).isRight;
    if (!isRepeated) throw invalidToken();
  }

  /** False when somebody else has used it meanwhile. */
  @Transactional()
  async redeem(hash: Uint8Array<ArrayBuffer>, userId: string, better: PasswordHash): Promise<boolean> {
    const [user] = await this.users.lock([userId]);
    if (user?.disabledAt !== null || !(await this.resets.use(hash))) return false;
    await this.users.setPassword(userId, better);
    await this.resets.withdraw(userId);
    await this.sessions.endAll(userId, 'password_changed');
    await this.changes.add({ userId, byId: nobody, kind: 'password_reset' });
    afterCommit(() => noteSecurityEvent('password-reset', { userId }));
    return true;
  }
}

function refused(userId: string): Error {
  noteSecurityEvent('password-refused', { userId });
  const errors = [{ pointer: '/currentPassword', code: 'wrong-password' }];
  return invalid('wrong-password', 'The present password is another one.', { errors });
}

const invalidToken = (): Error =>
  unauthorized('invalid-reset-token', 'The token is not valid, or was used. Have another one made.');

const hashOf = (token: string): Uint8Array<ArrayBuffer> => new Uint8Array(createHash('sha256').update(token).digest());
