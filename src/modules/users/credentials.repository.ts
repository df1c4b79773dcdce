import { Injectable } from '@nestjs/common';
import { Databases } from '../../database/databases.ts';
import { Standings } from '../../http/standings.ts';
import type { Principal } from '../../kernel/principal.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** What a password is compared with, and who chooses it. */
export interface Credentials {
  readonly id: string;
  readonly role: Principal['role'];
  readonly email: string;
  readonly displayName: string;
  readonly passwordHash: string;
  readonly isDisabled: boolean;
}

/** `open`: it can be used. `used`: within the last seconds, so that who repeats it has lost the answer. */
export type Reset = Credentials & { readonly state: 'open' | 'used' | 'over' };

const columns = `u.id, u.role, u.email, p.display_name AS "displayName", u.password_hash AS "passwordHash",
  u.disabled_at IS NOT NULL AS "isDisabled"`;

/**
 * Reads what says who somebody is: from the primary, as a replica may not know yet that it was withdrawn, and on connections of their own, as
 * nobody is let in while those of the pool are all in use.
 */
@Injectable()
export class CredentialsRepository {
  constructor(
    private readonly databases: Databases,
    standings: Standings,
  ) {
    standings.answerWith((sessionIds) => this.rolesOf(sessionIds));
  }

  findByEmail(email: string): Promise<Credentials | null> {
    return this.one<Credentials>(
      `SELECT ${columns} FROM "user" u JOIN profile p ON p.user_id = u.id WHERE u.email = $1`,
      email,
    );
  }

  find(userId: string): Promise<Credentials | null> {
    return this.one<Credentials>(
      `SELECT ${columns} FROM "user" u JOIN profile p ON p.user_id = u.id WHERE u.id = $1`,
      userId,
    );
  }

  findByReset(hash: Bytes, repeatSeconds: number): Promise<Reset | null> {
    return this.one<Reset>(
      `SELECT ${columns}, CASE
         WHEN r.used_at > statement_timestamp() - make_interval(secs => $2) THEN 'used'
         WHEN r.used_at IS NULL AND r.expires_at > statement_timestamp() AND u.disabled_at IS NULL THEN 'open'
         ELSE 'over' END AS state
       FROM password_reset r JOIN "user" u ON u.id = r.user_id JOIN profile p ON p.user_id = u.id WHERE r.hash = $1`,
      hash,
      repeatSeconds,
    );
  }

  /** The roles of the people whose sessions are going on, of these. */
  private async rolesOf(sessionIds: readonly string[]): Promise<ReadonlyMap<string, Principal['role']>> {
    // eslint-disable-next-line transactions/no-raw-client -- before any boundary, on connections of its own
    const { rows } = await this.databases.lookUps.query<{ id: string; role: Principal['role'] }>(
      `SELECT s.id, u.role FROM session s JOIN "user" u ON u.id = s.user_id
       WHERE s.id = ANY($1::uuid[]) AND s.ended_at IS NULL AND s.expires_at > statement_timestamp() AND u.disabled_at IS NULL`,
      [sessionIds],
    );
    return new Map(rows.map(({ id, role }) => [id, role]));
  }

  private async one<Row extends object>(text: string, ...values: unknown[]): Promise<Row | null> {
    // eslint-disable-next-line transactions/no-raw-client -- before any boundary, on connections of its own
    const { rows } = await this.databases.lookUps.query<Row>(text, values);
    return rows[0] ?? null;
  }
}
