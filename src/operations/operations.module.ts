import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { DatabaseModule } from '../database/database.module.ts';
import { ArchiveWatch } from './archive-watch.ts';
import { Drain } from './drain.ts';
import { HealthReports } from './health.ts';
import { SeedsRepository } from './seeds.repository.ts';

@Module({
  imports: [DatabaseModule, TerminusModule.forRoot({ logger: false })],
  providers: [ArchiveWatch, Drain, HealthReports, SeedsRepository],
  exports: [Drain, HealthReports],
})
export class OperationsModule {}
