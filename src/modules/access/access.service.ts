import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { type SecurityEvent, noteSecurityEvent } from '../../http/access/security-events.ts';
import { Standings } from '../../http/access/standings.ts';
import { type ExpectedVersion, isExpected } from '../../http/conditional/if-match.ts';
import { page } from '../../http/pages/page.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { PasswordsService } from '../passwords/passwords.service.ts';
import { SessionsService } from '../sessions/sessions.service.ts';
import { CredentialsService } from '../users/credentials.service.ts';
import type { ChangeKind, LockedUser } from '../users/user.ts';
import { userProblems } from '../users/users.problems.ts';
import { UsersService } from '../users/users.service.ts';
import { accessProblems } from './access.problems.ts';
import type { AccessPatch, UserChangeQuery } from './access.schema.ts';

const events: Partial<Record<ChangeKind, SecurityEvent>> = {
  role: 'role-changed',
  disabled: 'user-disabled',
  enabled: 'user-enabled',
};

/** What operators decide about who gets in. */
@Injectable()
export class AccessService {
  constructor(
    private readonly users: UsersService,
    private readonly credentials: CredentialsService,
    private readonly passwords: PasswordsService,
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
    if (!isExpected(version, user.version))
      throw generalProblems.versionMismatch(`The user is at version ${user.version} by now.`, {
        version: user.version,
      });
    const kinds = kindsOf(user, patch);
    if (kinds.length > 0) await this.apply(principal, user, patch, kinds);
    return this.users.get(principal, id);
  }

  /** Ends all sessions of a person. Throws user-not-found. */
  @Transactional()
  async endSessions(principal: Principal, userId: string): Promise<void> {
    const [user] = await this.credentials.lock([userId]);
    found(user, userProblems.notFound);
    await this.sessions.endAll(userId, 'ended');
    await this.credentials.addChanges({ userId, byId: principal.userId, kind: 'sessions_ended' });
  }

  /** What was changed of what lets a person in, the newest first. Throws user-not-found. */
  async listChanges(principal: Principal, id: string, query: UserChangeQuery) {
    await this.users.get(principal, id);
    return page(
      'user changes',
      { ...query, id, reader: principal.userId },
      z.uuid(),
      (slice) => this.credentials.listChanges(id, slice),
      (change) => change.id,
    );
  }

  private async lock(principal: Principal, id: string): Promise<LockedUser> {
    if (id === principal.userId) throw accessProblems.ownAccess('Another operator must do that.');
    const locked = await this.credentials.lock([principal.userId, id]);
    const operator = locked.find((user) => user.id === principal.userId);
    if (operator?.role !== 'operator' || operator.disabledAt !== null)
      throw generalProblems.notAllowed('This is for operators.');
    const user = locked.find((one) => one.id === id);
    return found(user, userProblems.notFound);
  }

  private async apply(principal: Principal, user: LockedUser, patch: AccessPatch, kinds: ChangeKind[]): Promise<void> {
    const { id: userId } = user;
    await this.credentials.setAccess(userId, patch);
    const byId = principal.userId;
    const { role = user.role, reason } = patch;
    const roles = { oldValue: user.role, newValue: role };
    await this.credentials.addChanges(
      ...kinds.map((kind) => ({ userId, byId, kind, reason, ...(kind === 'role' && roles) })),
    );
    if (kinds.includes('disabled')) {
      await this.sessions.endAll(userId, 'user_disabled');
      await this.passwords.withdrawResets(userId);
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
