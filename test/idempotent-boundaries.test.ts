import { randomUUID } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Controller, Injectable, Module, Param, Post } from '@nestjs/common';
import request from 'supertest';
import { Public } from '../src/http/access/principal.ts';
import { Idempotent } from '../src/http/idempotency/idempotent.ts';
import { orderProblems } from '../src/modules/orders/orders.problems.ts';
import { currentTransaction } from '../src/transactions/current.ts';
import { afterCommit } from '../src/transactions/hooks.ts';
import { InjectDatabase, InjectReads, type Reads, type Sql } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { startApp, type TestApp } from './support/app.ts';
import { atOnce, tally } from './support/crowd.ts';
import { Marks, marksLike } from './support/marks.ts';
import { type OutsideServers, startOutsideServers } from './support/outside-servers.ts';

/** One method for each thing that a boundary can be asked to be. Each writes a mark and tells how it ran. */
@Injectable()
class Probe {
  runs = 0;

  constructor(
    private readonly marks: Marks,
    @InjectDatabase() private readonly db: Sql,
  ) {}

  @Transactional()
  async plain(mark: string) {
    return this.tell(mark);
  }

  @Transactional({ isolation: 'repeatable-read', name: 'a name of its own' })
  async named(mark: string) {
    return this.tell(mark);
  }

  @Transactional({ isolation: 'serializable' })
  async serializable(mark: string) {
    return this.tell(mark);
  }

  @Transactional({ timeout: '30s', lockTimeout: '7s' })
  async patient(mark: string) {
    return this.tell(mark);
  }

  @Transactional({ propagation: 'requires-new' })
  async apart(mark: string) {
    return this.tell(mark);
  }

  @Transactional({ propagation: 'nested' })
  async nested(mark: string) {
    return this.tell(mark);
  }

  @Transactional({ retry: 3 })
  async repeated(mark: string) {
    this.runs++;
    const told = await this.tell(mark);
    const attempt = currentTransaction()?.attempt;
    if (attempt === 1) await this.db.$executeRaw`DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`;
    return { ...told, attempt };
  }

  @Transactional({ retry: 0 })
  async neverRepeated(mark: string) {
    this.runs++;
    await this.tell(mark);
    await this.db.$executeRaw`DO $$ BEGIN RAISE EXCEPTION 'never again' USING ERRCODE = '40001'; END $$`;
  }

  @Transactional()
  async hooked(mark: string) {
    afterCommit(() => this.plain(`${mark}-after`));
    return this.tell(mark);
  }

  @Transactional()
  async silent(mark: string): Promise<void> {
    await this.tell(mark);
  }

  @Transactional()
  async refused(mark: string) {
    await this.tell(mark);
    throw orderProblems.notCancellable('Not this one.');
  }

  @Transactional({ propagation: 'supports' })
  async without(mark: string) {
    await this.marks.write(mark);
    return { written: true };
  }

  private async tell(mark: string) {
    await this.marks.write(mark);
    return this.settings();
  }

  private async settings() {
    const [row] = await this.db.$queryRaw<Record<string, string>[]>`
      SELECT current_setting('transaction_isolation') AS isolation, current_setting('application_name') AS name,
             current_setting('lock_timeout') AS "lockTimeout", current_setting('transaction_read_only') AS "readOnly"`;
    const { name, readOnly, timeLeftMs = 0 } = currentTransaction() ?? {};
    return { ...row, boundary: name, only: readOnly, isLong: timeLeftMs > 20_000 };
  }
}

@Injectable()
class Reader {
  constructor(@InjectReads() private readonly db: Reads<'user'>) {}

  @Transactional({ readOnly: true, isolation: 'repeatable-read' })
  async reading() {
    return { users: await this.db.user.count(), isReadOnly: currentTransaction()?.readOnly };
  }
}

let outside: OutsideServers;

@Controller('v1/probe')
class ProbeController {
  constructor(
    private readonly probe: Probe,
    private readonly reader: Reader,
    private readonly marks: Marks,
  ) {}

  @Post('fetch-first/:mark')
  @Public()
  @Idempotent('optional')
  async fetchFirst(@Param('mark') mark: string) {
    const before = await this.reader.reading();
    const said = await (await fetch(`http://127.0.0.1:${outside.port}/`)).text();
    return { before, said, after: await this.probe.plain(mark) };
  }

  @Post('fetch-last/:mark')
  @Public()
  @Idempotent('optional')
  async fetchLast(@Param('mark') mark: string) {
    const told = await this.probe.plain(mark);
    const said = await (await fetch(`http://127.0.0.1:${outside.port}/`)).text();
    return { told, said };
  }

  @Post('write-alone/:mark')
  @Public()
  @Idempotent('optional')
  async writeAlone(@Param('mark') mark: string) {
    await this.marks.write(mark);
    return { mark: 'written' };
  }

  // Another row each time: no constraint keeps a second one from being stored.
  @Post('write-anew/:mark')
  @Public()
  @Idempotent('optional')
  async writeAnew(@Param('mark') mark: string) {
    await this.marks.write(`${mark}${randomUUID()}`);
    return { mark: 'written' };
  }

  @Post('in-parallel/:mark')
  @Public()
  @Idempotent('optional')
  async inParallel(@Param('mark') mark: string) {
    return Promise.all([this.reader.reading(), this.probe.plain(mark)]);
  }

  @Post('caught/:mark')
  @Public()
  @Idempotent('optional')
  async caught(@Param('mark') mark: string) {
    const refusal = await this.probe.refused(mark).catch((error: unknown) => error as Error);
    return { caught: (refusal as { code?: string }).code };
  }

  @Post('reading/:mark')
  @Public()
  @Idempotent('optional')
  async reading() {
    return this.reader.reading();
  }

  @Post(':method/:mark')
  @Public()
  @Idempotent('optional')
  async any(@Param('method') method: 'plain', @Param('mark') mark: string) {
    return this.probe[method](mark);
  }
}

@Module({ controllers: [ProbeController], providers: [Probe, Reader, Marks] })
class ProbeModule {}

let service: TestApp;
beforeAll(async () => {
  outside = await startOutsideServers();
  service = await startApp({}, [ProbeModule]);
});
afterAll(async () => {
  await service.close();
  await outside.close();
});

let marks = 0;
const fresh = (): string => `mark-${++marks}-`;
const send = (route: string, mark: string, key: string | null) => {
  const test = request(service.url).post(`/v1/probe/${route}/${mark}`);
  return key === null ? test : test.set('idempotency-key', key);
};
/** What a client sees, and what is stored. */
async function seen(route: string, mark: string, key: string | null) {
  const { status, body, headers } = await send(route, mark, key);
  const { requestId: _, instance: __, ...rest } = body as Record<string, unknown>;
  const stored = (await marksLike(service.database, mark)).map((slug) => slug.replace(mark, 'mark'));
  return { status, body: rest, stored, replayed: headers['idempotent-replayed'] };
}

const routes = [
  ...['plain', 'named', 'serializable', 'patient', 'apart', 'nested', 'repeated', 'neverRepeated', 'hooked', 'silent'],
  ...['refused', 'without', 'reading', 'fetch-first', 'fetch-last', 'write-alone', 'in-parallel', 'caught'],
];

describe('with an Idempotency-Key and without one the same is done and answered by', () => {
  it.each(routes)('%s', async (route) => {
    const probe = service.app.get(Probe);
    const [first, second, key] = [fresh(), fresh(), randomUUID()];
    probe.runs = 0;
    const without = await seen(route, first, null);
    const runs = probe.runs;
    probe.runs = 0;
    const once = await seen(route, second, key);
    expect(once).toEqual(without);
    expect(probe.runs).toBe(runs);
    // Not where it may be done again: it failed on our side, or for the moment only.
    if (once.status >= 500) return;
    expect(await seen(route, second, key)).toEqual({ ...once, replayed: 'true' });
  });
});

describe('a boundary under an Idempotency-Key', () => {
  it('is the one of the method, with its level, name and time', async () => {
    const told = async (route: string) => (await send(route, fresh(), randomUUID()).expect(201)).body;
    expect(await told('serializable')).toMatchObject({
      isolation: 'serializable',
      name: 'holdfast Probe.serializable',
    });
    expect(await told('named')).toMatchObject({ isolation: 'repeatable read', name: 'holdfast a name of its own' });
    expect(await told('patient')).toMatchObject({ isLong: true, lockTimeout: '7s', boundary: 'Probe.patient' });
    expect(await told('repeated')).toMatchObject({ attempt: 2 });
  });

  it('is done once by copies at the same moment, at each level', async () => {
    for (const route of ['plain', 'named', 'serializable', 'write-anew', 'fetch-last']) {
      const [mark, key] = [fresh(), randomUUID()];
      const counts = tally(await atOnce(12, () => send(route, mark, key)));
      expect(Object.keys(counts).sort().join()).toMatch(/^201(,409 idempotency-key-in-use)?$/);
      expect((await send(route, mark, key).expect(201)).headers['idempotent-replayed']).toBe('true');
      expect(await marksLike(service.database, mark)).toHaveLength(1);
    }
  });

  it('is in conflict with none of another key', async () => {
    const failed: unknown[] = [];
    const listen = (message: unknown) => failed.push(message);
    subscribe('holdfast:attempt-failed', listen);
    const answers = await atOnce(24, () => send('serializable', fresh(), randomUUID()));
    unsubscribe('holdfast:attempt-failed', listen);
    expect(tally(answers)).toEqual({ '201': 24 });
    expect(failed).toEqual([]);
  });

  it('is not done again where its handler had come no further', async () => {
    const [mark, key] = [fresh(), randomUUID()];
    await service.database.query(`
      CREATE FUNCTION refuse_response() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
      CREATE TRIGGER refuses BEFORE UPDATE ON idempotency_record FOR EACH ROW
        WHEN (new.body LIKE '%"said":"done"%') EXECUTE FUNCTION refuse_response()`);
    await send('fetch-last', mark, key).expect(500);
    await service.database.query('DROP TRIGGER refuses ON idempotency_record');
    expect(await marksLike(service.database, mark)).toEqual([mark]);
    const again = await send('fetch-last', mark, key).expect(201);
    expect(again.body.said).toBe('done');
    expect(await marksLike(service.database, mark)).toEqual([mark]);
    expect((await send('fetch-last', mark, key).expect(201)).text).toBe(again.text);
  });
});
