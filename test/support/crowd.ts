import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash } from '@node-rs/argon2';
import pg from 'pg';
import type { Response } from 'supertest';
import { AccessTokens } from '../../src/http/access/access-tokens.ts';
import { newId, readId, showId } from '../../src/kernel/ids.ts';
import type { PasswordHash } from '../../src/modules/users/passwords.ts';
import { SessionsRepository } from '../../src/modules/sessions/sessions.repository.ts';
import { UsersRepository } from '../../src/modules/users/users.repository.ts';
import type { TestApp } from './app.ts';
import { fullCount } from './counts.ts';
import type { TestDatabase } from './database.ts';
import { makers, type Person } from './make.ts';

const password = 'correct horse battery';
// As weak as it can be: one for all, and quick to check.
const passwordHash = hash(password, { memoryCost: 8, timeCost: 1, parallelism: 1 }) as Promise<PasswordHash>;

const lives = { refreshTokenSeconds: 86_400, sessionSeconds: 86_400 };

/** Many customers at once, signed in, without the work of hashing a password for each. */
export async function crowd(service: TestApp, size: number, { balance = 0, currency = 'EUR' } = {}): Promise<Person[]> {
  const make = makers(service);
  return inFlight(16, size, async () => {
    const email = `${newId()}@example.com`;
    const role = 'customer';
    const row = { email, passwordHash: await passwordHash, role, profile: { displayName: 'Racer' } } as const;
    const user = (await service.app.get(UsersRepository).create(row, currency))!;
    const refreshToken = newId();
    const tokenHash = new Uint8Array(createHash('sha256').update(refreshToken).digest());
    const principal = { userId: user.id, sessionId: newId(), role } as const;
    const now = await service.app.get(SessionsRepository).create(principal.sessionId, user, tokenHash, lives);
    const token = service.app.get(AccessTokens).sign(principal, now!);
    const accountId = showId('acct', user.accounts[0]?.id ?? '');
    if (balance > 0) await make.deposit(accountId, balance, currency);
    return {
      id: showId('usr', user.id),
      email,
      password,
      token,
      refreshToken,
      accountId,
      api: service.as(token),
    };
  });
}

/** The same person in one more session, which no token refreshes. */
export async function signedInAgain({ app, as, database }: TestApp, person: Person): Promise<Person> {
  const principal = { userId: readId(person.id), sessionId: newId(), role: 'customer' } as const;
  await database.query(`INSERT INTO session (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')`, [
    principal.sessionId,
    principal.userId,
  ]);
  const token = app.get(AccessTokens).sign(principal, new Date());
  return { ...person, token, api: as(token) };
}

/** Runs the work `times` times, never more than `width` at once; the results stand in the order of their numbers. */
export async function inFlight<T>(width: number, times: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < times; n = next++) results[n] = await work(n);
  };
  await Promise.all(Array.from({ length: Math.min(width, times) }, worker));
  return results;
}

/** All at the same moment. */
export const atOnce = <T>(times: number, work: (n: number) => Promise<T>): Promise<T[]> => inFlight(times, times, work);

/**
 * Begins the work while somebody else holds the row, and lets go once at least two wait for it: whoever has read the row without a lock has read
 * what is old by then. Without this, requests that are sent at once may still come one after the other.
 * @public The tests of tools/module-template use it, which knip does not read.
 */
export async function meetAt<T>(
  { urls, query }: TestDatabase,
  table: string,
  id: string,
  work: () => Promise<T>,
): Promise<T> {
  const holder = new pg.Client({ connectionString: urls.owner });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query(`SELECT FROM "${table}" WHERE id = $1 FOR NO KEY UPDATE`, [id]);
    const working = work();
    await untilBlocked({ query }, 2);
    await holder.query('COMMIT');
    return await working;
  } finally {
    await holder.end();
  }
}

/** Until so many sessions wait for somebody else's lock, and have for so long. */
export async function untilBlocked({ query }: Pick<TestDatabase, 'query'>, count: number, forMs = 0): Promise<void> {
  const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`;
  let since: number | null = null;
  const blockedMs = async (): Promise<number> => {
    const [row] = await query<{ n: number }>(waiting);
    since = (row?.n ?? 0) < count ? null : (since ?? performance.now());
    return since === null ? -1 : performance.now() - since;
  };
  await eventually(blockedMs, (ms) => ms >= forMs);
}

/** How often each answer came: `{ '201': 1, '409 out-of-stock': 49 }`. */
export function tally(responses: readonly Response[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of responses) {
    const answer = status < 400 ? `${status}` : `${status} ${body.code}`;
    counts[answer] = (counts[answer] ?? 0) + 1;
  }
  return counts;
}

/** Asks until the answer is one that is waited for; throws with the last one when it does not come in time. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isIt: (answer: T) => boolean,
  withinMs = fullCount(60_000, 120_000),
): Promise<T> {
  for (const deadline = performance.now() + withinMs; ; await sleep(20)) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    if (performance.now() > deadline)
      throw new Error(`waited ${withinMs} ms in vain; the last answer: ${JSON.stringify(answer)}`);
  }
}

/** Does the work again and again, `width` times at once, while `during` goes on; ends with it, also when it fails. */
export async function underLoad(
  width: number,
  work: (n: number) => Promise<unknown>,
  during: () => Promise<void>,
): Promise<void> {
  let isOver = false;
  const load = atOnce(width, async (n) => {
    while (!isOver) await work(n);
  });
  try {
    await during();
  } finally {
    isOver = true;
    await load;
  }
}
