import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { ExpectedVersion } from '../../http/if-match.ts';
import { page } from '../../http/page.ts';
import { type SecurityEvent, noteSecurityEvent } from '../../http/security-events.ts';
import { Standings } from '../../http/standings.ts';
import { conflict, forbidden, found, stale } from '../../kernel/errors.ts';
import type { Principal } from '../../kernel/principal.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import type { AccessPatch, UserChangeQuery } from './access.schema.ts';
import { PasswordResetsRepository } from './password-resets.repository.ts';
import { SessionsService } from './sessions.service.ts';
import { type ChangeKind, UserChangesRepository } from './user-changes.repository.ts';
import { type LockedUser, UsersRepository } from './users.repository.ts';

const events: Partial<Record<ChangeKind, SecurityEvent>> = {
  role: 'role-changed',
  disabled: 'user-disabled',
  enabled: 'user-enabled',
};

/** What operators decide about who gets in. */
@Injectable()
export class AccessService {
  constructor(
    private readonly users: UsersRepository,
    private readonly changes: UserChangesRepository,
    private readonly resets: PasswordResetsRepository,
    private readonly sessions: SessionsService,
    private readonly standings: Standings,
  ) {}

  /**
   * Changes the role, disables or enables. Both rows are locked, so that of two operators who withdraw each other's role one is left. Throws
   * not-allowed, own-access, user-not-found, version-mismatch.
   */
  @Transactional()
  async change(principal: Principal, id: string, version: ExpectedVersion, patch: AccessPatch) {
    const user = await this.lock(principal, id);
    if (version !== 'any' && !version.includes(user.version))
      throw stale('version-mismatch', `The user is at version ${user.version} by now.`, { version: user.version });
    const kinds = kindsOf(user, patch);
    if (kinds.length > 0) await this.apply(principal, user, patch, kinds);
    return found(await this.users.find({}, id), 'user-not-found', 'There is no such user.');
  }

  /** Ends all sessions of a person. Throws user-not-found. */
  @Transactional()
  async endSessions(principal: Principal, userId: string): Promise<void> {
    const [user] = await this.users.lock([userId]);
    found(user, 'user-not-found', 'There is no such user.');
    await this.sessions.endAll(userId, 'ended');
    await this.changes.add({ userId, byId: principal.userId, kind: 'sessions_ended' });
  }

  /** What was changed of what lets a person in, the newest first. Throws user-not-found. */
  async listChanges(id: string, query: UserChangeQuery) {
    found(await this.users.find({}, id), 'user-not-found', 'There is no such user.');
    return page(
      'user changes',
      { ...query, id },
      z.uuid(),
      (slice) => this.changes.list(id, slice),
      (change) => change.id,
    );
  }

  private async lock(principal: Principal, id: string): Promise<LockedUser> {
    if (id === principal.userId) throw conflict('own-access', 'Another operator must do that.');
    const locked = await this.users.lock([principal.userId, id]);
    const operator = locked.find((user) => user.id === principal.userId);
    if (operator?.role !== 'operator' || operator.disabledAt !== null)
      throw forbidden('not-allowed', 'This is for operators.');
    const user = locked.find((one) => one.id === id);
    return found(user, 'user-not-found', 'There is no such user.');
  }

  private async apply(principal: Principal, user: LockedUser, patch: AccessPatch, kinds: ChangeKind[]): Promise<void> {
    const { id: userId } = user;
    await this.users.setAccess(userId, patch);
    const byId = principal.userId;
    const { role = user.role, reason } = patch;
    const roles = { oldValue: user.role, newValue: role };
    await this.changes.add(...kinds.map((kind) => ({ userId, byId, kind, reason, ...(kind === 'role' && roles) })));
    if (kinds.includes('disabled')) {
      await this.sessions.endAll(userId, 'user_disabled');
      await this.resets.withdraw(userId);
    }
    afterCommit(() => {
      this.standings.forget(userId);
      for (const kind of kinds)
        noteSecurityEvent(events[kind] ?? 'role-changed', { userId, ...(kind === 'role' && { role }) });
    });
  }
}

/** What the patch changes; nothing where it says what is so already. */
function kindsOf(user: LockedUser, { role = user.role, disabled }: AccessPatch): ChangeKind[] {
  const isDisabled = user.disabledAt !== null;
  return [
    ...(role !== user.role ? (['role'] as const) : []),
    ...(disabled !== undefined && disabled !== isDisabled
      ? [disabled ? ('disabled' as const) : ('enabled' as const)]
      : []),
  ];
}
