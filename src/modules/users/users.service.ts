import { Injectable } from '@nestjs/common';
import { Currencies } from '../../config/currencies.ts';
import { Expands } from '../../http/expansions.ts';
import type { ExpectedVersion } from '../../http/if-match.ts';
import { found, stale } from '../../kernel/errors.ts';
import { type Principal, type Scope, scopeOf } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { checkPassword, hashNewPassword, type PasswordHash } from './passwords.ts';
import { UsersRepository } from './users.repository.ts';
import { type NewUser, type UserPatch, UserView } from './users.schema.ts';

@Injectable()
export class UsersService {
  constructor(
    private readonly users: UsersRepository,
    private readonly currencies: Currencies,
  ) {}

  /**
   * A customer with a profile and a first account, or nothing. Hashing takes long, so it is done before any boundary. Throws email-taken,
   * currency-not-accepted.
   */
  @Transactional()
  async signUp({ password: _, currency = this.currencies.first, ...user }: NewUser, passwordHash: PasswordHash) {
    this.currencies.demand(currency, '/currency');
    return this.users.create({ ...user, role: 'customer', passwordHash }, currency);
  }

  /** An operator: runs the shop. Begins without an account. Throws email-taken, weak-password. */
  async addOperator({ password, ...user }: Omit<NewUser, 'currency'>) {
    const passwordHash = await hashNewPassword(password, { email: user.email, ...user.profile });
    return this.users.create({ ...user, role: 'operator', passwordHash }, null);
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
    return (await this.users.findForLogIn(email)) !== null;
  }

  /** Throws user-not-found. */
  async get(principal: Principal, id: string) {
    return found(await this.users.find(scopeOf(principal), id), 'user-not-found', 'There is no such user.');
  }

  /** Those that one may see. */
  @Expands('usr', UserView)
  async getAll(scope: Scope, ids: readonly string[]) {
    return this.users.findAll(scope, ids);
  }

  /** Changes the version that was seen. Throws user-not-found, version-mismatch, email-taken. */
  @Transactional()
  async edit(principal: Principal, id: string, version: ExpectedVersion, patch: UserPatch) {
    const changed = await this.users.update(scopeOf(principal), id, version, patch);
    const user = await this.get(principal, id);
    if (!changed)
      throw stale('version-mismatch', `The user is at version ${user.version} by now.`, { version: user.version });
    return user;
  }
}
