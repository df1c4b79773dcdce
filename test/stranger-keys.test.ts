/** @servers any */
import { randomUUID } from 'node:crypto';
import { startApp, type TestApp } from './support/app.ts';

let service: TestApp;
beforeAll(async () => {
  service = await startApp();
});
afterAll(() => service.close());

const signUp = (email: string, key: string, displayName = 'Ada') =>
  service
    .as()
    .post('/v1/users', { email, password: 'correct horse battery', profile: { displayName } })
    .set('idempotency-key', key);

describe('the key of a sign-up belongs to the address that it names', () => {
  it('so that another stranger may choose the same one', async () => {
    for (const email of ['one@example.com', 'other@example.com']) await signUp(email, '1').expect(201);
  });

  it('however it is spelled: it is answered as before, and with another body refused', async () => {
    const key = randomUUID();
    const first = await signUp('three@example.com', key).expect(201);
    const again = await signUp('three@example.com', key).expect(201);
    expect([again.text, again.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    const { body } = await signUp('THREE@example.com', key, 'Another').expect(422);
    expect(body.code).toBe('idempotency-key-reused');
  });

  it('and nothing of the address can be read from its record', async () => {
    await signUp('secretive@example.com', '2').expect(201);
    const rows = await service.database.query<{ id: string }>(
      'SELECT DISTINCT principal_id::text AS id FROM idempotency_record',
    );
    // Version 8 of RFC 9562: each of them somebody of their own, and none of them a user.
    expect(rows.length).toBeGreaterThan(3);
    for (const { id } of rows) expect(id).toMatch(/^.{14}8.{4}[89ab]/);
  });
});
