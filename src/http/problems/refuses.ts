import { ApiExtension } from '@nestjs/swagger';
import type { ProblemType } from '../../kernel/problem.ts';

/** The member of an operation that `openapi.ts` reads and takes out again. */
export const refusedWith = 'x-refused-with';

/**
 * Names what a route refuses beside that which follows from what it takes (`refusals.ts`): the codes that its service throws. An answer with
 * another code is a mistake that every test through HTTP finds.
 */
export const Refuses = (...problems: ProblemType[]): MethodDecorator => ApiExtension(refusedWith, problems);
