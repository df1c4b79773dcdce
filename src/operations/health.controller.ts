import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  ServiceUnavailableException,
  UseFilters,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';
import type { Client } from '../database/client.ts';
import { Databases } from '../database/databases.ts';
import { Public } from '../http/principal.ts';
import { Drain } from './drain.ts';

const probeTimeoutMs = 1000;

/** Answers a failed check with its report: probes read the status, people the body. */
@Catch(ServiceUnavailableException)
class ReportFilter implements ExceptionFilter<ServiceUnavailableException> {
  catch(failed: ServiceUnavailableException, host: ArgumentsHost): void {
    void host.switchToHttp().getResponse<FastifyReply>().status(503).send(failed.getResponse());
  }
}

@Controller()
@ApiExcludeController()
@UseFilters(ReportFilter)
export class HealthController {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly databases: Databases,
    private readonly drain: Drain,
  ) {}

  /** Does the process answer? Asks nobody: a restart mends no database. */
  @Get('livez')
  @Public()
  live() {
    return { status: 'ok' };
  }

  /** Should requests be sent here? 503 while stopping; `degraded` (200) while a database is away, which other instances miss as well. */
  @Get('readyz')
  @Public()
  ready() {
    const { write, replicas } = this.databases;
    const reached = [write, ...replicas].map((client) => () => this.reach(client));
    return this.checks.check([() => this.serving(), ...reached]);
  }

  /** Has it started? The port opens after the migrations were checked; the first connection is made here. */
  @Get('startupz')
  @Public()
  started() {
    return this.checks.check([() => this.must(this.databases.write)]);
  }

  private serving() {
    const serving = this.indicators.check('serving');
    return this.drain.isOn ? serving.down('stopping') : serving.up();
  }

  private must({ name, pool }: Client) {
    const attempt = this.indicators.check(name).attempt(async () => {
      await pool.query('SELECT 1');
    });
    return attempt.withTimeout(probeTimeoutMs);
  }

  private async reach(client: Client) {
    const { name } = client;
    const result = await this.must(client).cacheFor(probeTimeoutMs);
    return result[name]?.status === 'up' ? result : this.indicators.check(name).degraded('not reachable');
  }
}
