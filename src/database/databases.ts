import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { type Config, DatabaseConfig } from '../config/config.ts';
import { replicasIn } from '../config/replicas.ts';
import { type Client, openClient } from './client.ts';
import { meetDatabase } from './first-contact.ts';
import { refuseForeignSchema } from './schema-version.ts';

/** The clients: `write` on the primary, and one on each replica. */
@Injectable()
export class Databases implements OnModuleInit, OnApplicationShutdown {
  readonly write: Client;
  readonly replicas: readonly Client[];
  /** As PostgreSQL counts: 180004 is 18.4. Known after the start. */
  serverVersion = 0;
  private readonly logger = new Logger(Databases.name);
  private readonly closing = new AbortController();

  constructor(@Inject(DatabaseConfig.KEY) private readonly config: Config['database']) {
    this.write = openClient({ name: 'primary', url: config.writeUrl, role: 'primary' }, config);
    const addresses = config.readUrl === null ? [] : (replicasIn(config.readUrl) ?? []);
    this.replicas = addresses.map((address) => openClient({ ...address, role: 'standby' }, config));
  }

  get hasReplica(): boolean {
    return this.replicas.length > 0 && this.hasPositions;
  }

  /** Whether a write has a position in the WAL that a replica could reach: not on the one connection of a test, which commits nothing. */
  get hasPositions(): boolean {
    return this.write.pool.pin === null;
  }

  async onModuleInit(): Promise<void> {
    if (!this.hasReplica) this.logger.warn('DATABASE_READ_URL is not set: reads go to the primary');
    await meetDatabase(() => refuseForeignSchema(this.write.pool), {
      waitMs: this.config.startWaitMs,
      signal: this.closing.signal,
      report: (line) => this.logger.warn(line),
    });
    const { rows } = await this.write.pool.query<{ n: string }>(`SELECT current_setting('server_version_num') AS n`);
    this.serverVersion = Number(rows[0]?.n);
  }

  /** After the last request: `onModuleDestroy` would come before the drain and cut live requests. */
  async onApplicationShutdown(): Promise<void> {
    this.closing.abort();
    await Promise.all([this.write, ...this.replicas].map(close));
  }
}

async function close({ prisma, pool }: Client): Promise<void> {
  await prisma.$disconnect();
  // Prisma leaves a pool alone that it has not used; we may have.
  await pool.end();
}
