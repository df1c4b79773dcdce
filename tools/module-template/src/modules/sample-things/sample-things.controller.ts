import { Controller, Delete, Get, Patch, Post } from '@nestjs/common';
import {
  Body,
  Caller,
  type ExpectedVersion,
  Idempotent,
  IfMatch,
  NeedsIfMatch,
  Param,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  ReturnsNothing,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { sampleThingProblems } from './sample-things.problems.ts';
import {
  NewSampleThing,
  SampleThingId,
  SampleThingPage,
  SampleThingPatch,
  SampleThingQuery,
  SampleThingView,
} from './sample-things.schema.ts';
import { SampleThingsService } from './sample-things.service.ts';

@Controller('v1/sample-things')
export class SampleThingsController {
  constructor(private readonly sampleThings: SampleThingsService) {}

  @Post()
  @SignedIn()
  @Idempotent('optional')
  @ReturnsCreated(SampleThingView, '/v1/sample-things')
  createSampleThing(@Caller() caller: Principal, @Body(NewSampleThing) members: NewSampleThing) {
    return this.sampleThings.create(caller, members);
  }

  @Get()
  @SignedIn()
  @Returns(200, SampleThingPage)
  listSampleThings(@Caller() caller: Principal, @Query(SampleThingQuery) query: SampleThingQuery) {
    return this.sampleThings.list(caller, query);
  }

  @Get(':id')
  @SignedIn()
  @Returns(200, SampleThingView)
  @Refuses(sampleThingProblems.notFound)
  getSampleThing(@Caller() caller: Principal, @Param('id', SampleThingId) id: string) {
    return this.sampleThings.get(caller, id);
  }

  @Patch(':id')
  @SignedIn()
  @NeedsIfMatch()
  @Returns(200, SampleThingView)
  @Refuses(sampleThingProblems.notFound, sampleThingProblems.archived)
  editSampleThing(
    @Caller() caller: Principal,
    @Param('id', SampleThingId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(SampleThingPatch) patch: SampleThingPatch,
  ) {
    return this.sampleThings.edit(caller, id, version, patch);
  }

  @Delete(':id')
  @SignedIn()
  @ReturnsNothing()
  @Refuses(sampleThingProblems.notFound)
  removeSampleThing(@Caller() caller: Principal, @Param('id', SampleThingId) id: string) {
    return this.sampleThings.remove(caller, id);
  }
}
