import { Injectable } from '@nestjs/common';
import { DatabaseClients } from '../../database/database-clients.ts';
import { type ExpectedVersion, versionIn } from '../../http/conditional/if-match.ts';
import type { Slice } from '../../http/pages/page.ts';
import { allOf } from '../../kernel/all-of.ts';
import { withoutUndefined } from '../../kernel/defined.ts';
import { newId } from '../../kernel/ids.ts';
import type { Scope } from '../../kernel/principal.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockAndLoad } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { PasswordHash } from './passwords.ts';
import type { Access, Contact, Credentials, LockedUser, UserChange } from './user.ts';
import type { NewUser, UserEdit } from './users.schema.ts';

export const userLocks = defineLockableTables('people', { user: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof userLocks> {}
}

type UserRow = Omit<NewUser, 'password' | 'currency'> & { passwordHash: PasswordHash; role: 'customer' | 'operator' };

const whole = { profile: true, accounts: { orderBy: { id: 'asc' }, take: 100 } } as const;

@Injectable()
export class UsersRepository {
  // Sql: row locks, and moments by the clock of the database.
  constructor(
    @InjectDatabase() private readonly db: Tables<'user' | 'userChange' | 'profile' | 'account'> & Sql,
    private readonly databases: DatabaseClients,
  ) {}

  /**
   * The user, the profile and, for a customer, the first account; null when the address is taken. That is found without an error: PostgreSQL would
   * write the address into its log.
   */
  async create({ profile, ...user }: UserRow, currency: string | null) {
    const [made] = await this.db.user.createManyAndReturn({ data: [{ id: newId(), ...user }], skipDuplicates: true });
    if (made === undefined) return null;
    const { id: userId } = made;
    const [own, accounts] = await allOf([
      this.db.profile.create({ data: { userId, ...profile, locale: profile.locale ?? null } }),
      this.db.account.createManyAndReturn({ data: currency === null ? [] : [{ id: newId(), userId, currency }] }),
    ]);
    return { ...made, profile: own, accounts };
  }

  async isTaken(email: string): Promise<boolean> {
    return (await this.db.user.count({ where: { email } })) > 0;
  }

  /** Locks them, in one order, and gives them as they are then. */
  async lock(ids: readonly string[]): Promise<LockedUser[]> {
    const { rows } = await lockAndLoad<LockedUser>(this.db, 'user', ids, {
      id: 'id',
      email: 'email',
      role: 'role',
      version: 'version',
      disabledAt: 'disabled_at',
    });
    return rows;
  }

  async setAccess(id: string, { role, disabled }: Access): Promise<void> {
    await this.db.$executeRaw`
      UPDATE "user" SET version = version + 1, updated_at = statement_timestamp(), role = coalesce(${role ?? null}::role, role),
        disabled_at = CASE ${disabled ?? null}::boolean WHEN true THEN statement_timestamp() WHEN false THEN NULL ELSE disabled_at END
      WHERE id = ${id}::uuid`;
  }

  /** Whether it was still the old one. */
  async replacePassword(id: string, old: string, passwordHash: PasswordHash): Promise<boolean> {
    const changed = await this.db.user.updateMany({ where: { id, passwordHash: old }, data: { passwordHash } });
    return changed.count === 1;
  }

  async setPassword(id: string, passwordHash: PasswordHash): Promise<void> {
    await this.db.user.update({ where: { id }, data: { passwordHash } });
  }

  find(scope: Scope, id: string) {
    return this.db.user.findFirst({ where: { AND: [{ id }, own(scope)] }, include: whole });
  }

  findAll(scope: Scope, ids: readonly string[]) {
    return this.db.user.findMany({ where: { AND: [{ id: { in: [...ids] } }, own(scope)] }, include: whole });
  }

  /** Whether anybody has ever signed up or was added. */
  async isEmpty(): Promise<boolean> {
    return (await this.db.user.findFirst({ select: { id: true } })) === null;
  }

  listForLogIn(ids: readonly string[]) {
    return this.db.user.findMany({ where: { id: { in: [...ids] } }, select: { email: true, passwordHash: true } });
  }

  /** Keeps another hash of the same password, unless it was changed meanwhile. */
  async keepBetter(id: string, old: string, better: PasswordHash): Promise<void> {
    await this.db.user.updateMany({ where: { id, passwordHash: old }, data: { passwordHash: better } });
  }

  /** Whether a row of this version was there to be changed. Violates `email-taken`. */
  async update(scope: Scope, id: string, version: ExpectedVersion, { profile, ...patch }: UserEdit): Promise<boolean> {
    const changed = await this.db.user.updateMany({
      where: { AND: [{ id }, own(scope), versionIn(version)] },
      data: { ...withoutUndefined(patch), version: { increment: 1 } },
    });
    if (changed.count === 0) return false;
    if (profile) await this.db.user.update({ where: { id }, data: { profile: { update: withoutUndefined(profile) } } });
    return true;
  }

  findCredentials(userId: string): Promise<Credentials | null> {
    return this.lookUp('u.id', userId);
  }

  findCredentialsByEmail(email: string): Promise<Credentials | null> {
    return this.lookUp('u.email', email);
  }

  /** As the primary has it now. */
  async findContact(userId: string): Promise<Contact | null> {
    // eslint-disable-next-line transactions/no-raw-client -- outside any boundary, on connections of its own
    const { rows } = await this.databases.lookUps.query<Contact>(
      `SELECT u.email, p.display_name AS "displayName", p.locale, u.disabled_at IS NOT NULL AS "isDisabled"
       FROM "user" u JOIN profile p ON p.user_id = u.id WHERE u.id = $1`,
      [userId],
    );
    return rows[0] ?? null;
  }

  async addChanges(changes: readonly UserChange[]): Promise<void> {
    await this.db.userChange.createMany({ data: changes.map((change) => ({ id: newId(), ...change })) });
  }

  /** The newest first. */
  listChanges(userId: string, { after, take }: Slice<string>) {
    return this.db.userChange.findMany({
      where: { userId, ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
    });
  }

  /** From the primary, because a replica may not have the last password yet, and on connections of its own: who is to be let in does not wait for the pool. */
  private async lookUp(column: 'u.id' | 'u.email', value: string): Promise<Credentials | null> {
    // eslint-disable-next-line transactions/no-raw-client -- before any boundary, on connections of its own
    const { rows } = await this.databases.lookUps.query<Credentials>(
      `SELECT u.id, u.role, u.email, p.display_name AS "displayName", u.password_hash AS "passwordHash",
         u.disabled_at IS NOT NULL AS "isDisabled"
       FROM "user" u JOIN profile p ON p.user_id = u.id WHERE ${column} = $1`,
      [value],
    );
    return rows[0] ?? null;
  }
}

// A user owns itself.
const own = ({ userId }: Scope) => (userId === undefined ? {} : { id: userId });
