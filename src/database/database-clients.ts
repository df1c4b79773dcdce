import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { DatabaseConfig } from '../config/slices.ts';
import { replicasIn } from '../config/replicas.ts';
import type { Pool } from '../transactions/wire/pool.ts';
import { type DatabaseClient, openClient, openPool } from './database-client.ts';
import { meetDatabase } from './first-contact.ts';
import { refuseForeignSchema } from './schema-version.ts';
import { demandStatementNames, StatementNamesError } from './statement-names.ts';

// Those who wait for a look-up wait for one statement by key, in turn.
const lookUpConnections = 2;
const lookUpMs = 2000;

/** The clients: `write` on the primary, and one on each replica. */
@Injectable()
export class DatabaseClients implements OnModuleInit, OnApplicationShutdown {
  readonly write: DatabaseClient;
  readonly replicas: readonly DatabaseClient[];
  /** As PostgreSQL counts: 180004 is 18.4. Known after the start. */
  serverVersion = 0;
  private readonly ownLookUps: Pool;
  private readonly logger = new Logger(DatabaseClients.name);
  private readonly closing = new AbortController();

  constructor(@Inject(DatabaseConfig.KEY) private readonly config: Config['database']) {
    this.write = openClient({ name: 'primary', url: config.writeUrl, role: 'primary' }, config);
    const addresses = config.readUrl === null ? [] : (replicasIn(config.readUrl) ?? []);
    const bounds = { poolSize: lookUpConnections, statementTimeoutMs: Math.min(lookUpMs, config.statementTimeoutMs) };
    const lookUps = { url: config.writeUrl, role: 'primary', application: 'holdfast look-ups' } as const;
    this.ownLookUps = openPool(lookUps, { ...config, ...bounds });
    this.replicas = addresses.map((address) => openClient({ ...address, role: 'standby' }, config));
  }

  get hasReplica(): boolean {
    return this.replicas.length > 0 && this.hasPositions;
  }

  /** Whether a write has a position in the WAL that a replica could reach: not on the one connection of a test, which commits nothing. */
  get hasPositions(): boolean {
    return this.write.pool.pin === null;
  }

  /** The primary, for what must be known before a request may take anything: not behind those who hold the connections of `write`. */
  get lookUps(): Pool {
    return this.write.pool.pin === null ? this.ownLookUps : this.write.pool;
  }

  async onModuleInit(): Promise<void> {
    if (!this.hasReplica) this.logger.warn('DATABASE_READ_URL is not set: reads go to the primary');
    await meetDatabase(() => this.meet(), {
      waitMs: this.config.startWaitMs,
      signal: this.closing.signal,
      report: (line) => this.logger.warn(line),
    });
    const { rows } = await this.write.pool.query<{ n: string }>(`SELECT current_setting('server_version_num') AS n`);
    this.serverVersion = Number(rows[0]?.n);
  }

  private async meet(): Promise<void> {
    await refuseForeignSchema(this.write.pool);
    if (this.config.statementNames === 'off') return;
    const namesOf = (client: DatabaseClient) => demandStatementNames(() => client.beside('holdfast start'));
    // A replica that cannot be asked now is no reason not to start.
    const ofReplicas = this.replicas.map((replica) =>
      namesOf(replica).catch((error: unknown) => {
        if (error instanceof StatementNamesError) throw error;
      }),
    );
    await Promise.all([namesOf(this.write), ...ofReplicas]);
  }

  /** Gives up the wait for a database that does not answer: a start that is stopped waits for nobody. */
  stopWaiting(): void {
    this.closing.abort();
  }

  /** After the last request: `onModuleDestroy` would come before the drain and cut live requests. */
  async onApplicationShutdown(): Promise<void> {
    this.closing.abort();
    await Promise.all([this.ownLookUps.end(), ...[this.write, ...this.replicas].map(close)]);
  }
}

async function close({ prisma, pool }: DatabaseClient): Promise<void> {
  await prisma.$disconnect();
  // Prisma leaves a pool alone that it has not used; we may have.
  await pool.end();
}
