import { Module } from '@nestjs/common';
import { Databases } from './databases.ts';

@Module({ providers: [Databases], exports: [Databases] })
export class DatabaseModule {}
