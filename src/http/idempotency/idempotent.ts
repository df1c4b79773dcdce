import { applyDecorators } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { outermost } from '../outermost.ts';
import { routeFacts } from '../route-facts.ts';
import { IdempotencyInterceptor } from './idempotency.interceptor.ts';
import { idempotencyKey, type KeyNeed } from './idempotency.ts';

/**
 * The route does its work once for each Idempotency-Key of a caller, and answers it again as it did the first time
 * (draft-ietf-httpapi-idempotency-key-header-07). `required`: 400 without one.
 */
export const Idempotent = (need: KeyNeed): MethodDecorator =>
  applyDecorators(
    routeFacts({ keyNeed: need }),
    outermost(IdempotencyInterceptor),
    ApiHeader({
      name: idempotencyKey,
      required: need === 'required',
      description:
        'Names this request: sent again with the same key it is not done again, but answered as before. 1 to 255 printable ASCII characters, best a UUID',
      schema: { type: 'string', minLength: 1, maxLength: 257, examples: ['0b2e7a0e-7f0c-4a55-9d1c-6f2b8a3a4f10'] },
    }),
  );
