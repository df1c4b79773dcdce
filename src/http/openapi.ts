import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { Problem } from './problem.ts';

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of all routes. The same for the running service, for `openapi.json` and for the check between them. */
export function describeApi(app: INestApplication): OpenAPIObject {
  const info = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Holdfast')
    .setDescription(
      'Users, accounts, catalog and orders. Every error is application/problem+json with a stable `code`.',
    )
    .setVersion('1')
    .addBearerAuth({
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'The accessToken of POST /v1/sessions',
    })
    .build();
  const document = SwaggerModule.createDocument(app, info, {
    operationIdFactory: (_, method) => method,
    autoTagControllers: true,
    standardSchemaConverter: (schema, { schemaType }) => convert(schema as z.ZodType, schemaType),
  });
  for (const operation of operationsOf(document))
    operation['responses'] = { ...(operation['responses'] as Json), default: problem };
  const { schema, components } = convert(Problem, 'output');
  document.components = { ...document.components, schemas: { ...document.components?.schemas, ...components } };
  return schema === undefined ? document : document;
}

const problem = {
  description: 'Refused or failed',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

function* operationsOf(document: OpenAPIObject): Generator<Json> {
  for (const path of Object.values(document.paths)) yield* Object.values(path) as Json[];
}

// Nest's own conversion is for OpenAPI 3.0; 3.1 takes JSON Schema as it is. Definitions by id move to components.
function convert(schema: z.ZodType, io: 'input' | 'output'): { schema: unknown; components: Record<string, Json> } {
  const {
    $schema: _,
    $defs = {},
    id,
    ...rest
  } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Json & {
    $defs?: Record<string, Json>;
    id?: string;
  };
  const components = Object.fromEntries(
    Object.entries($defs).map(([name, { id: __, ...definition }]) => [name, definition]),
  );
  if (id === undefined) return { schema: rest, components };
  return { schema: { $ref: `#/components/schemas/${id}` }, components: { ...components, [id]: rest } };
}
