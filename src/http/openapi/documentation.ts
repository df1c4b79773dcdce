import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { apiTitle, describeApi } from './openapi.ts';

/** Answers /openapi.json, and /docs, which shows it. To be called when all routes are known. */
export function publishDocumentation(app: NestFastifyApplication): void {
  // Made when it is asked for first: it would take a tenth of a start.
  let made: OpenAPIObject | null = null;
  const document = (): OpenAPIObject => (made ??= describeApi(app));
  answerDocument(app.getHttpAdapter().getInstance(), document);
  // Nest would write the document anew for each request, and as YAML as well, which takes the event loop a hundred milliseconds.
  SwaggerModule.setup('docs', app, document, {
    raw: false,
    customSiteTitle: apiTitle,
    swaggerOptions: { persistAuthorization: true, filter: true, requestInterceptor: nameAnew },
  });
  const fastify = app.getHttpAdapter().getInstance();
  fastify.get('/', (_, reply) => reply.redirect('/docs'));
  fastify.get('/favicon.ico', (_, reply) => reply.redirect('/docs/favicon-32x32.png'));
}

interface Sent {
  readonly headers: Record<string, string>;
}

/** Gives each try of the example a key of its own; a key that somebody wrote stays. Runs in the browser, and may name nothing from here. */
function nameAnew(request: Sent): Sent {
  if (request.headers['Idempotency-Key'] === '0b2e7a0e-7f0c-4a55-9d1c-6f2b8a3a4f10') {
    // Not randomUUID(), which only a page that came by TLS or from this machine has.
    const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
    request.headers['Idempotency-Key'] = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return request;
}

/** Writes the document once: it is the same for everybody, and anybody may ask for it as often as the quotas allow. */
function answerDocument(fastify: FastifyInstance, document: () => object): void {
  let text: string | null = null;
  fastify.get('/openapi.json', (_, reply) =>
    reply.type('application/json; charset=utf-8').send((text ??= JSON.stringify(document()))),
  );
}
