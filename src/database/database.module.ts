import { Module } from '@nestjs/common';
import { Clock } from '../kernel/clock.ts';
import { DatabaseClock } from './database-clock.ts';
import { Databases } from './databases.ts';

@Module({
  providers: [Databases, DatabaseClock, { provide: Clock, useExisting: DatabaseClock }],
  exports: [Databases, Clock],
})
export class DatabaseModule {}
