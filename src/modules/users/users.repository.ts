import { Injectable } from '@nestjs/common';
import { type ExpectedVersion, versionIn } from '../../http/if-match.ts';
import { InjectDatabase, type Tables } from '../../database/tables.ts';
import type { Scope } from '../../kernel/principal.ts';
import { defined } from '../../kernel/defined.ts';
import { newId } from '../../kernel/ids.ts';
import type { PasswordHash } from './passwords.ts';
import type { NewUser, UserPatch } from './users.schema.ts';

type UserRow = Omit<NewUser, 'password' | 'currency'> & { passwordHash: PasswordHash; role: 'customer' | 'operator' };

const whole = { profile: true, accounts: { orderBy: { id: 'asc' }, take: 100 } } as const;

@Injectable()
export class UsersRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'user'>) {}

  /** The user, the profile and, for a customer, the first account, in one nested write. Violates `email-taken`. */
  create({ profile, ...user }: UserRow, currency: string | null) {
    return this.db.user.create({
      data: {
        id: newId(),
        ...user,
        profile: { create: { ...profile, locale: profile.locale ?? null } },
        ...(currency !== null && { accounts: { create: { id: newId(), currency } } }),
      },
      include: whole,
    });
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

  findForLogIn(email: string) {
    return this.db.user.findUnique({ where: { email }, select: { id: true, passwordHash: true, role: true } });
  }

  /** Keeps another hash of the same password, unless it was changed meanwhile. */
  async keepBetter(id: string, old: string, better: PasswordHash): Promise<void> {
    await this.db.user.updateMany({ where: { id, passwordHash: old }, data: { passwordHash: better } });
  }

  /** Whether a row of this version was there to be changed. Violates `email-taken`. */
  async update(scope: Scope, id: string, version: ExpectedVersion, { profile, ...patch }: UserPatch): Promise<boolean> {
    const changed = await this.db.user.updateMany({
      where: { AND: [{ id }, own(scope), versionIn(version)] },
      data: { ...defined(patch), version: { increment: 1 } },
    });
    if (changed.count === 0) return false;
    if (profile) await this.db.user.update({ where: { id }, data: { profile: { update: defined(profile) } } });
    return true;
  }
}

// A user owns itself.
const own = ({ userId }: Scope) => (userId === undefined ? {} : { id: userId });
