import { Injectable } from '@nestjs/common';
import { noteSecurityEvent } from '../../http/access/security-events.ts';
import type { Slice } from '../../http/pages/page.ts';
import { found } from '../../kernel/problem.ts';
import { checkPassword, type PasswordHash } from './passwords.ts';
import type { Access, Credentials, LockedUser, UserChange } from './user.ts';
import { userProblems } from './users.problems.ts';
import { UsersRepository } from './users.repository.ts';

/** What lets a person in, for the modules that decide over it. What writes runs inside the boundary of whoever asks. */
@Injectable()
export class CredentialsService {
  constructor(private readonly users: UsersRepository) {}

  /** As the primary says now; asked before any boundary, as hashing takes long. */
  find(userId: string): Promise<Credentials | null> {
    return this.users.findCredentials(userId);
  }

  findByEmail(email: string): Promise<Credentials | null> {
    return this.users.findCredentialsByEmail(email);
  }

  /** Throws wrong-password, and temporary-reduced-capacity. Hashing takes long, so it is done before any boundary. */
  async demandPassword(userId: string, typed: string): Promise<void> {
    const { passwordHash } = found(await this.find(userId), userProblems.notFound);
    if (!(await checkPassword(passwordHash, typed)).isRight) throw passwordRefused(userId);
  }

  /** Locks the users in one order, and gives them as they are then. */
  lock(userIds: readonly string[]): Promise<LockedUser[]> {
    return this.users.lock(userIds);
  }

  setAccess(userId: string, access: Access): Promise<void> {
    return this.users.setAccess(userId, access);
  }

  /** Whether it was still the old one. */
  replacePassword(userId: string, old: string, passwordHash: PasswordHash): Promise<boolean> {
    return this.users.replacePassword(userId, old, passwordHash);
  }

  setPassword(userId: string, passwordHash: PasswordHash): Promise<void> {
    return this.users.setPassword(userId, passwordHash);
  }

  /** Keeps another hash of the same password, unless it was changed meanwhile. */
  keepBetter(userId: string, old: string, better: PasswordHash): Promise<void> {
    return this.users.keepBetter(userId, old, better);
  }

  /** Writes down what was changed, in one commit with the change. */
  addChanges(...changes: UserChange[]): Promise<void> {
    return this.users.addChanges(changes);
  }

  listChanges(userId: string, slice: Slice<string>) {
    return this.users.listChanges(userId, slice);
  }
}

export function passwordRefused(userId: string): Error {
  noteSecurityEvent('password-refused', { userId });
  const errors = [{ pointer: '/currentPassword', code: 'wrong-password' }];
  return userProblems.wrongPassword('The present password is another one.', { errors });
}
