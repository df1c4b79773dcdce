import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { PHASED_RUNS } from './phased.ts';
import { PhasedRuns } from './phased-runs.ts';
import { PhasedRunsRepository } from './phased-runs.repository.ts';
import { PhasedWorker } from './phased-worker.ts';

/** Gives every service `@Phased()`. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [PhasedRunsRepository, PhasedRuns, PhasedWorker, { provide: PHASED_RUNS, useExisting: PhasedRuns }],
  exports: [PHASED_RUNS],
})
export class PhasedModule {}
