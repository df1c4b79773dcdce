import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { type Config, DatabaseConfig } from '../config/config.ts';
import { type Client, openClient } from './client.ts';
import { refuseForeignSchema } from './schema-version.ts';

/** The two clients: `write` on the primary, `read` on the replica, or the same one where there is no replica. */
@Injectable()
export class Databases implements OnModuleInit, OnApplicationShutdown {
  readonly write: Client;
  readonly read: Client;
  /** As PostgreSQL counts: 180004 is 18.4. Known after the start. */
  serverVersion = 0;
  private readonly logger = new Logger(Databases.name);

  constructor(@Inject(DatabaseConfig.KEY) config: Config['database']) {
    this.write = openClient({ name: 'primary', url: config.writeUrl, application: 'holdfast write' }, config);
    this.read =
      config.readUrl === null
        ? this.write
        : openClient({ name: 'replica', url: config.readUrl, application: 'holdfast read' }, config);
  }

  get hasReplica(): boolean {
    return this.read !== this.write;
  }

  async onModuleInit(): Promise<void> {
    if (!this.hasReplica) this.logger.warn('DATABASE_READ_URL is not set: reads go to the primary');
    await refuseForeignSchema(this.write.pool);
    const { rows } = await this.write.pool.query<{ n: string }>(`SELECT current_setting('server_version_num') AS n`);
    this.serverVersion = Number(rows[0]?.n);
  }

  /** After the last request: `onModuleDestroy` would come before the drain and cut live requests. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...new Set([this.write, this.read])].map(({ prisma }) => prisma.$disconnect()));
  }
}
