import type { z } from 'zod';
import { eventTypes } from '../../events/event-type.ts';
import { nameOf, viewOfType } from '../../events/event-view.ts';

type Json = Record<string, unknown>;

/** What a receiver of events is sent, by type. `named` puts a schema among those of the document, and points at it. */
export function describeWebhooks(named: (schema: z.ZodType) => { readonly schema: Json }): Json {
  return Object.fromEntries(
    eventTypes().map((type) => [
      type.type,
      {
        post: {
          operationId: `on${nameOf(type)}`,
          summary: type.type,
          description: type.meaning,
          requestBody: { required: true, content: { 'application/cloudevents+json': named(viewOfType(type)) } },
          responses: { '2XX': { description: 'The receiver has taken it' } },
        },
      },
    ]),
  );
}
