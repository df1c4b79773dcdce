/** @servers any */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { demo } from '../src/embedded/demo/demo.ts';
import { runningCluster } from '../src/embedded/cluster.ts';
import { api, type Api } from './support/app.ts';
import { makeHome } from './support/home.ts';
import { ask } from './support/own-cluster.ts';
import { buildService, killServices, leastEnvironment, type ServiceProcess, startService } from './support/process.ts';

const home = makeHome('seed');
let service: ServiceProcess;
const start = async (): Promise<string> => {
  service = startService({ HOLDFAST_HOME: home, SHUTDOWN_DRAIN_MS: '0' });
  return service.url;
};
async function again(): Promise<string> {
  service.kill('SIGTERM');
  expect(await service.exit).toMatchObject({ code: 0 });
  return start();
}
beforeAll(buildService);
afterAll(async () => {
  service.kill('SIGTERM');
  await service.exit;
  await killServices();
  rmSync(home, { recursive: true, force: true });
});

async function signIn(url: string, email: string, password: string): Promise<Api> {
  const { body } = await api(url).post('/v1/sessions', { email, password }).expect(201);
  return api(url, body.accessToken as string);
}
const count = async (table: string): Promise<number> =>
  (await ask(runningCluster(home)?.url('owner') ?? '', `SELECT FROM ${table}`)).length;
const counts = async () => [await count('"user"'), await count('product'), await count('transfer')];

function command(
  name: string,
  args: readonly string[] = [],
  input = '',
): Promise<{ code: number | null; said: string; out: string }> {
  const child = spawn(process.execPath, [join('tools', name), ...args], {
    env: { ...leastEnvironment(), HOLDFAST_HOME: home },
  });
  let [out, said] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said, out })));
}

it('the demo data are added once, whatever their people make of them', async () => {
  let url = await start();
  expect(service.said()).toContain('demo data added');
  expect(await counts()).toEqual([3, 3, 2]);

  // Every row that the seed has written and that the API lets somebody change, is changed.
  for (const { email, password } of Object.values(demo)) {
    const person = await signIn(url, email, password);
    const { id } = (await person.get('/v1/users/me').expect(200)).body;
    await person
      .patch(`/v1/users/${id}`, {
        email: `was-${email}`,
        profile: { displayName: 'Renamed' },
        currentPassword: password,
      })
      .set('if-match', '*')
      .expect(({ status, body }) => {
        // Where the present password is no member of it, it is refused by name: without it, then.
        if (status !== 200 && status !== 422) throw new Error(JSON.stringify(body));
      });
    await person
      .patch(`/v1/users/${id}`, { email: `was-${email}`, profile: { displayName: 'Renamed' } })
      .set('if-match', '*');
  }
  const { email } = (
    await ask<{ email: string }>(
      runningCluster(home)?.url('owner') ?? '',
      `SELECT email FROM "user" WHERE role = 'operator'`,
    )
  )[0]!;
  const operator = await signIn(url, email, demo.operator.password);
  for (const product of (await operator.get('/v1/products').expect(200)).body.data as { id: string; slug: string }[])
    await operator
      .patch(`/v1/products/${product.id}`, { name: `Not ${product.slug}` })
      .set('if-match', '*')
      .expect(200);

  url = await again();
  expect(service.said()).not.toContain('demo data added');
  expect(await counts()).toEqual([3, 3, 2]);
  // The banner tells the address that lets somebody in today.
  expect(service.said()).toContain(`${email} · ${demo.operator.password}`);
  await signIn(url, email, demo.operator.password);
});

it('also when a row of theirs is gone that the seed used to look for', async () => {
  await ask(
    runningCluster(home)?.url('owner') ?? '',
    `UPDATE "user" SET email = 'somebody@example.com' WHERE role = 'operator'`,
  );
  await again();
  expect(await counts()).toEqual([3, 3, 2]);
  expect(await command('seed.mjs')).toMatchObject({
    code: 0,
    said: 'The demo data was added before: nothing is added twice.\n',
  });
  expect(await counts()).toEqual([3, 3, 2]);
});

it('an operator is added to data in use; one who is there already is told in a sentence', async () => {
  expect(await command('add-operator.mjs', ['second@example.com'], 'a long enough password\n')).toMatchObject({
    code: 0,
    said: 'second@example.com is an operator.\n',
  });
  expect(await command('add-operator.mjs', ['second@example.com'], 'a long enough password\n')).toMatchObject({
    code: 1,
    said: 'second@example.com belongs to somebody already.\n',
  });
  await again();
});

it('a database in which somebody is, but no demo was, is left as it is', async () => {
  await ask(runningCluster(home)?.url('superuser') ?? '', 'DELETE FROM seed');
  await again();
  expect(service.said()).not.toContain('demo');
  expect(await command('seed.mjs')).toMatchObject({
    code: 1,
    said: 'This database has users already: demo data are added to an empty one only.\n',
  });
  expect(await counts()).toEqual([4, 3, 2]);
});

it('npm run reconcile works on it, beside the running service and when that is stopped', async () => {
  const right = { code: 0, out: expect.stringMatching(/The books are right\.\n$/) };
  expect(await command('reconcile.mjs')).toMatchObject(right);
  service.kill('SIGTERM');
  expect(await service.exit).toMatchObject({ code: 0 });
  const alone = await command('reconcile.mjs');
  expect(alone).toMatchObject(right);
  // Alice, Bob and the sixteen of the house: what is stored was read.
  expect(alone.out).toMatch(/- +18 {2}an account is not the sum of its entries/);
});
