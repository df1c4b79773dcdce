/** @servers any */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

interface Configuration {
  readonly forbidden: readonly { readonly name: string; readonly from: { readonly path?: string } }[];
}
interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

const { forbidden } = createRequire(__filename)('../.dependency-cruiser.cjs') as Configuration;
const anything = (path: string): string => `import * as found from '${path}';\nexport const use = found;\n`;
const type = (path: string): string => `import type * as found from '${path}';\nexport type Use = typeof found;\n`;

// The rules that the table makes have the names of modules behind them.
const withoutModules = (name: string): string => name.replace(/^(modules-know-only)-.*/, '$1');
// One trespass for each file: which rule must name it.
const trespasses: Record<string, [file: string, text: string][]> = {
  'modules-know-only': [
    ['src/modules/users/a.service.ts', anything('../catalog/catalog.service.ts')],
    ['src/modules/accounts/a.service.ts', type('../users/users.service.ts')],
    ['src/modules/catalog/a.module.ts', anything('../orders/orders.module.ts')],
    ['src/modules/gifts/gifts.service.ts', anything('../catalog/catalog.service.ts')],
    ['src/modules/orders/a.service.ts', anything('../users/users.service.ts')],
    ['src/modules/ledger/a.service.ts', anything('../transfers/transfers.service.ts')],
    ['src/modules/users/n.service.ts', type('../sessions/sessions.service.ts')],
  ],
  'a-module-has-two-doors': [
    ['src/modules/orders/b.service.ts', anything('../catalog/catalog.schema.ts')],
    ['src/modules/orders/c.service.ts', type('../transfers/transfers.repository.ts')],
    ['src/modules/orders/d.ts', anything('../transfers/transfers.controller.ts')],
  ],
  'only-repositories-speak-to-the-database': [
    ['src/modules/users/b.service.ts', anything('../../transactions/tables.ts')],
    ['src/modules/users/c.controller.ts', type('../../database/database-clients.ts')],
    ['src/modules/users/d.service.ts', anything('../../transactions/locks.ts')],
    ['src/modules/users/e.service.ts', anything('pg')],
  ],
  'transactions-begin-in-services': [
    ['src/modules/users/f.repository.ts', anything('../../transactions/transactional.ts')],
    ['src/modules/users/g.controller.ts', anything('../../transactions/transactions.ts')],
  ],
  'transactions-are-met-at-their-doors': [
    ['src/modules/users/h.service.ts', anything('../../transactions/boundary/options.ts')],
    ['src/modules/users/i.repository.ts', anything('../../transactions/reads/router.ts')],
  ],
  'controllers-meet-http-at-its-door': [['src/modules/users/m.controller.ts', anything('../../http/input/input.ts')]],
  'the-wire-knows-no-boundary': [['src/transactions/wire/a.ts', type('../boundary/retry.ts')]],
  'controllers-ask-services': [['src/modules/users/j.controller.ts', type('./users.repository.ts')]],
  'repositories-ask-nobody': [['src/modules/users/k.repository.ts', type('./users.service.ts')]],
  'the-kernel-knows-nobody': [
    ['src/kernel/a.ts', anything('zod')],
    ['src/kernel/b.ts', type('../config/environment.ts')],
  ],
  'the-test-kit-is-for-tests': [
    ['src/operations/kit.ts', anything('../testing/testing.ts')],
    ['src/http/kit.ts', type('../testing/planted-faults.ts')],
  ],
  'transactions-know-no-module-and-no-http': [
    ['src/transactions/a.ts', type('../modules/users/users.service.ts')],
    ['src/transactions/b.ts', anything('../http/problems/problem.ts')],
    ['src/transactions/c.ts', anything('../app.ts')],
    ['src/transactions/d.ts', anything('fastify')],
  ],
  'database-knows-no-module': [
    ['src/database/a.ts', type('../modules/users/users.service.ts')],
    ['src/database/b.ts', anything('../http/problems/problem.ts')],
  ],
  'http-knows-no-module': [['src/http/a.ts', anything('../modules/users/users.schema.ts')]],
  'reconciliation-knows-no-module': [['src/reconciliation/a.ts', anything('../modules/orders/orders.checks.ts')]],
  'operations-know-no-module': [['src/operations/a.ts', anything('../modules/users/users.service.ts')]],
  'generated-client-only-in-database-and-transactions': [
    ['src/modules/users/l.repository.ts', type('../../database/generated/client.ts')],
    ['src/operations/b.ts', anything('../database/generated/client.ts')],
    ['src/http/b.ts', anything('@prisma/client')],
  ],
  'the-embedded-server-is-left-alone': [['src/operations/c.ts', anything('../embedded/cluster.ts')]],
  'the-embedded-server-knows-no-module': [
    ['src/embedded/a.ts', type('../modules/users/users.service.ts')],
    ['src/embedded/b.ts', anything('./demo/demo.ts')],
  ],
  'no-circles': [['src/config/a.ts', anything('./b.ts')]],
  'nothing-imports-tests': [
    ['src/operations/d.ts', anything('../../test/support/make.ts')],
    ['src/modules/orders/e.ts', type('./order.test.ts')],
  ],
  'what-is-imported-exists': [['src/config/c.ts', anything('./nowhere.ts')]],
  'packages-stand-in-package-json': [
    ['src/config/d.ts', anything('supertest')],
    ['src/config/e.ts', anything('semver')],
  ],
  'rooms-are-named-after-things': [
    ['src/config/f.ts', anything('./utils/text.ts')],
    ['src/config/g.ts', anything('../common/index.ts')],
    // As `nest generate resource` writes it.
    ['src/modules/orders/nest.schema.ts', anything('./dto/create-thing.dto.ts')],
  ],
};
// Imported by a trespass, and none themselves.
const bystanders: [file: string, text: string][] = [
  ['src/config/b.ts', "export type { use } from './a.ts';\n"],
  ['src/config/utils/text.ts', 'export const nothing = 0;\n'],
  ['src/common/index.ts', 'export const nothing = 0;\n'],
  ['src/modules/orders/dto/create-thing.dto.ts', 'export const nothing = 0;\n'],
];

let project: string;
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'holdfast-boundaries-'));
  for (const part of ['src', 'prisma', 'test', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs'])
    cpSync(part, join(project, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(project, 'node_modules'));
});
afterAll(() => {
  rmSync(project, { recursive: true, force: true });
});

function cruise(): Violation[] {
  const program = join('node_modules', 'dependency-cruiser', 'bin', 'dependency-cruiser.mjs');
  const args = [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}

const plant = (file: string, text: string): void => {
  mkdirSync(dirname(join(project, file)), { recursive: true });
  writeFileSync(join(project, file), text);
};

describe('the boundaries between the rooms', () => {
  it('hold in the tree as it is', () => {
    expect(cruise().map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
  });

  it('are each reported under their own name when they are broken', () => {
    const planted = Object.entries(trespasses).flatMap(([rule, files]) =>
      files.map((file) => [rule, ...file] as const),
    );
    for (const [file, text] of bystanders) plant(file, text);
    for (const [, file, text] of planted) plant(file, text);

    const violations = cruise();
    const found = planted.map(([, file]) => [
      file,
      [...new Set(violations.filter(({ from }) => from === file).map(({ rule }) => withoutModules(rule.name)))],
    ]);
    expect(found).toEqual(planted.map(([rule, file]) => [file, [rule]]));
  });

  it('have a trespass above for every rule', () => {
    expect(new Set(forbidden.map(({ name }) => withoutModules(name)))).toEqual(new Set(Object.keys(trespasses)));
  });

  it('let a module know those that its own Nest module imports', () => {
    const known = forbidden.map(({ name }) => name).filter((name) => name !== withoutModules(name));
    expect(known).toContain('modules-know-only-orders-accounts-catalog-ledger-mails-transfers');
    expect(known).toContain('modules-know-only-catalog');
    expect(known).toHaveLength(readdirSync('src/modules').length);
  });
});
