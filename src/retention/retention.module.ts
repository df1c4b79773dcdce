import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Sweeper } from './sweeper.ts';

/** Removes what is over, in every table that says when its rows are. */
@Module({ imports: [DiscoveryModule], providers: [Sweeper], exports: [Sweeper] })
export class RetentionModule {}
