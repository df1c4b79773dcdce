import { Drain } from '../src/operations/drain.ts';
import { api, serve, startApp, type TestApp } from './support/app.ts';
import { recordStatements } from './support/statements.ts';

let service: TestApp;
beforeAll(async () => {
  service = await startApp();
});
afterAll(() => service.close());

describe('livez', () => {
  it('answers that the process lives, and asks no database', async () => {
    const statements = recordStatements();
    const answers = await Promise.all(Array.from({ length: 10 }, () => service.as().get('/livez').expect(200)));
    statements.stop();
    for (const { body } of answers) expect(body).toEqual({ status: 'ok' });
    expect(statements.take()).toEqual([]);
  });
});

describe('readyz', () => {
  it('tells of the service and of each database', async () => {
    const { body } = await service.as().get('/readyz').expect(200);
    expect(body).toMatchObject({
      status: 'ok',
      details: { serving: { status: 'up' }, primary: { status: 'up' }, replica: { status: 'up' } },
    });
  });

  it('tells of no replica where there is none, and reads go to the primary', async () => {
    const { url, app } = await serve(service.database, { DATABASE_READ_URL: '' });
    const { body } = await api(url).get('/readyz').expect(200);
    expect(Object.keys(body.details as object)).toEqual(['serving', 'primary']);
    const statements = recordStatements();
    await api(url).get('/v1/products').expect(200);
    statements.stop();
    expect(new Set(statements.take().map(({ connection }) => connection))).toEqual(new Set(['holdfast write']));
    await app.close();
  });

  it('asks each database at most once a second, however often it is asked itself', async () => {
    const statements = recordStatements();
    await Promise.all(Array.from({ length: 20 }, () => service.as().get('/readyz').expect(200)));
    statements.stop();
    const asked = statements.take().map(({ text, connection }) => `${connection}: ${text}`);
    expect(asked.length).toBeLessThanOrEqual(2);
    expect(new Set(asked).size).toBe(asked.length);
  });
});

describe('startupz', () => {
  it('asks the primary', async () => {
    const statements = recordStatements();
    const { body } = await service.as().get('/startupz').expect(200);
    statements.stop();
    expect(body).toMatchObject({ status: 'ok', details: { primary: { status: 'up' } } });
    expect(statements.take()).toMatchObject([{ text: 'SELECT 1', connection: 'holdfast write' }]);
  });
});

describe('a probe', () => {
  it.each(['/livez', '/readyz', '/startupz'])('%s is open to everybody, whatever token is sent', async (path) => {
    const { headers } = await service.as('no token at all').get(path).expect(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
  });

  it('is not part of the documented API', async () => {
    const { body } = await service.as().get('/openapi.json').expect(200);
    const paths = Object.keys(body.paths as object);
    expect(paths.filter((path) => path.endsWith('z'))).toEqual([]);
  });
});

describe('while it stops', () => {
  it('readyz answers 503 and says why, livez and startupz go on answering 200', async () => {
    service.app.get(Drain).begin();
    const { body } = await service.as().get('/readyz').expect(503);
    expect(body).toMatchObject({
      status: 'error',
      details: { serving: { status: 'down' }, primary: { status: 'up' }, replica: { status: 'up' } },
    });
    expect(JSON.stringify(body.details.serving)).toContain('stopping');
    await service.as().get('/livez').expect(200);
    await service.as().get('/startupz').expect(200);
  });
});
