import { Controller, Delete, Get, Patch } from '@nestjs/common';
import {
  Body,
  Caller,
  type ExpectedVersion,
  IfMatch,
  NeedsIfMatch,
  Param,
  Refuses,
  Returns,
  ReturnsNothing,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { bookingProblems } from './bookings.problems.ts';
import { HoldId, HoldPatch, HoldView } from './holds.schema.ts';
import { HoldsService } from './holds.service.ts';

@Controller('v1/holds')
export class HoldsController {
  constructor(private readonly holds: HoldsService) {}

  @Get(':id')
  @SignedIn()
  @Returns(200, HoldView)
  @Refuses(bookingProblems.holdNotFound)
  getHold(@Caller() caller: Principal, @Param('id', HoldId) id: string) {
    return this.holds.get(caller, id);
  }

  @Patch(':id')
  @SignedIn()
  @NeedsIfMatch()
  @Returns(200, HoldView)
  @Refuses(bookingProblems.holdNotFound, bookingProblems.holdExpired)
  extendHold(
    @Caller() caller: Principal,
    @Param('id', HoldId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(HoldPatch) patch: HoldPatch,
  ) {
    return this.holds.extend(caller, id, version, patch);
  }

  @Delete(':id')
  @SignedIn()
  @ReturnsNothing()
  @Refuses(bookingProblems.holdNotFound)
  releaseHold(@Caller() caller: Principal, @Param('id', HoldId) id: string) {
    return this.holds.release(caller, id);
  }
}
