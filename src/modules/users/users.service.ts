import { Injectable } from '@nestjs/common';
import { Currencies } from '../../config/currencies.ts';
import { noteSecurityEvent } from '../../http/access/security-events.ts';
import type { ExpectedVersion } from '../../http/conditional/if-match.ts';
import { Expands } from '../../http/expansion/expansions.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { type Principal, type Scope, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { CredentialsService } from './credentials.service.ts';
import { checkPassword, hashNewPassword, type PasswordHash } from './passwords.ts';
import { type Contact, UserView } from './user.ts';
import { userProblems } from './users.problems.ts';
import { UsersRepository } from './users.repository.ts';
import type { NewUser, UserEdit, UserPatch } from './users.schema.ts';

@Injectable()
export class UsersService {
  constructor(
    private readonly users: UsersRepository,
    private readonly currencies: Currencies,
    private readonly credentials: CredentialsService,
  ) {}

  /**
   * A customer with a profile and a first account, or nothing. Hashing takes long, so it is done before any boundary. Throws email-taken,
   * currency-not-accepted.
   */
  @Transactional()
  async signUp({ password: _, currency = this.currencies.first, ...user }: NewUser, passwordHash: PasswordHash) {
    this.currencies.demand(currency, '/currency');
    return demandFree(await this.users.create({ ...user, role: 'customer', passwordHash }, currency));
  }

  /** An operator: runs the shop. Begins without an account. Throws email-taken, weak-password. */
  async addOperator({ password, ...user }: Omit<NewUser, 'currency'>) {
    const passwordHash = await hashNewPassword(password, { email: user.email, ...user.profile });
    return this.createOperator(user, passwordHash);
  }

  @Transactional()
  async createOperator(user: Omit<NewUser, 'currency' | 'password'>, passwordHash: PasswordHash) {
    return demandFree(await this.users.create({ ...user, role: 'operator', passwordHash }, null));
  }

  /** Whether nobody has ever signed up or was added. */
  isEmpty(): Promise<boolean> {
    return this.users.isEmpty();
  }

  /** Those of these users who have one of these passwords, with that and their address of today. Hashes each with each. */
  async findByPasswords(ids: readonly string[], passwords: readonly string[]) {
    const found: { email: string; password: string }[] = [];
    const users = await this.users.listForLogIn(ids);
    const pairs = users.flatMap((user) => passwords.map((password) => ({ ...user, password })));
    for (const { email, passwordHash, password } of pairs)
      if ((await checkPassword(passwordHash, password)).isRight) found.push({ email, password });
    return found;
  }

  async isEmailTaken(email: string): Promise<boolean> {
    return this.users.isTaken(email);
  }

  /** Where this person can be written to now; null where there is none. Outside any boundary. */
  findContact(id: string): Promise<Contact | null> {
    return this.users.findContact(id);
  }

  /** Throws user-not-found. */
  async get(principal: Principal, id: string) {
    return found(await this.users.find(scopeOf(principal), id), userProblems.notFound);
  }

  /** Those that one may see. */
  @Expands('usr', UserView)
  async getAll(scope: Scope, ids: readonly string[]) {
    return this.users.findAll(scope, ids);
  }

  /**
   * Changes the version that was seen. Another address of one's own needs the present password: with a stolen token alone, nobody is to take an
   * account over. Throws user-not-found, version-mismatch, email-taken, password-needed, wrong-password.
   */
  async edit(principal: Principal, id: string, version: ExpectedVersion, patch: UserPatch) {
    const { currentPassword, ...changed } = patch;
    const isProven = currentPassword !== undefined && id === principal.userId;
    if (isProven) await this.credentials.demandPassword(id, currentPassword);
    return this.change(principal, { id, version, isProven }, changed);
  }

  /** The same, once it is known whether the caller has shown the present password. */
  @Transactional()
  async change(principal: Principal, { id, version, isProven }: Edited, patch: UserEdit) {
    if (patch.email !== undefined) await this.changeEmail(principal, { id, isProven }, patch.email);
    const changed = await this.users.update(scopeOf(principal), id, version, patch);
    const user = await this.get(principal, id);
    if (!changed)
      throw generalProblems.versionMismatch(`The user is at version ${user.version} by now.`, {
        version: user.version,
      });
    return user;
  }

  // The row says to which address the news of it is to go: the old one.
  private async changeEmail(principal: Principal, { id, isProven }: Omit<Edited, 'version'>, email: string) {
    const isOwn = id === principal.userId;
    if (!isOwn && principal.role !== 'operator') return;
    const [user] = await this.users.lock([id]);
    if (user === undefined || user.email === email) return;
    if (isOwn && !isProven)
      throw userProblems.passwordNeeded('Another e-mail address needs the present password.', {
        errors: [{ pointer: '/currentPassword', code: 'required' }],
      });
    if (await this.users.isTaken(email)) throw taken();
    const change = {
      userId: id,
      byId: principal.userId,
      kind: 'email',
      oldValue: user.email,
      newValue: email,
    } as const;
    await this.credentials.addChanges(change);
    afterCommit(() => noteSecurityEvent('email-changed', { userId: id }));
  }
}

interface Edited {
  readonly id: string;
  readonly version: ExpectedVersion;
  readonly isProven: boolean;
}

const taken = () => userProblems.emailTaken('Somebody has this address.');

function demandFree<User>(user: User | null): User {
  if (user === null) throw taken();
  return user;
}
