import { Module } from '@nestjs/common';
import { SampleThingsController } from './sample-things.controller.ts';
import { SampleThingsRepository } from './sample-things.repository.ts';
import { SampleThingsService } from './sample-things.service.ts';

@Module({
  controllers: [SampleThingsController],
  providers: [SampleThingsService, SampleThingsRepository],
  exports: [SampleThingsService],
})
export class SampleThingsModule {}
