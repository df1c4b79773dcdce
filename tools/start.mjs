// npm start: builds what has changed, file by file and without a look at types, then runs the service in this process. `--build-only` stops
// before that; `--types` builds all anew, by Nest's compiler, which refuses what has a wrong type.
// Plain JavaScript, so that a Node that is too old can still read the sentence that tells it so.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const least = /(\d+)\.(\d+)/.exec(JSON.parse(readFileSync('package.json', 'utf8')).engines.node) ?? [];
if (major < Number(least[1]) || (major === Number(least[1]) && minor < Number(least[2]))) {
  process.stderr.write(
    `Holdfast needs Node ${least[0]} or later; this is ${process.versions.node}. On Linux x64 "npm ci" brings it, and "npm start" uses it; elsewhere install it first.\n`,
  );
  process.exit(1);
}
if (!existsSync('node_modules')) {
  process.stderr.write('The packages are not installed. Run "npm ci" first.\n');
  process.exit(1);
}

const generated = { stamp: join('src', 'database', 'generated', '.stamp'), from: ['prisma', 'package-lock.json'] };
const built = {
  stamp: join('dist', '.stamp'),
  from: ['src', 'prisma', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
};

const nest = join('node_modules', '@nestjs', 'cli', 'bin', 'nest.js');

if (isStale(generated)) {
  process.stderr.write('  generating the database client\n');
  run(['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'prisma.mts'), 'generate']);
  writeFileSync(generated.stamp, '');
}
const withTypes = process.argv.includes('--types');
if (withTypes || isStale(built)) {
  process.stderr.write('  building\n');
  if (withTypes) rmSync('dist', { recursive: true, force: true });
  run(withTypes ? [nest, 'build'] : ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'build.mts')]);
  writeFileSync(built.stamp, '');
}
if (!process.argv.includes('--build-only')) await import(pathToFileURL(join('dist', 'src', 'main.js')).href);

/** @param {{ stamp: string, from: string[] }} product */
function isStale({ stamp, from }) {
  return !existsSync(stamp) || newest(from) > statSync(stamp).mtimeMs;
}

/** When one of these files, or of the files below these folders, was last changed.
 * @param {string[]} paths
 * @returns {number} */
function newest(paths) {
  return Math.max(
    ...paths.map((path) => {
      const found = statSync(path);
      if (!found.isDirectory()) return found.mtimeMs;
      // The folder's own time tells of files that were removed.
      return Math.max(
        found.mtimeMs,
        newest(
          readdirSync(path)
            .filter((name) => name !== 'generated' && name !== 'migrations')
            .map((name) => join(path, name)),
        ),
      );
    }),
  );
}

/** @param {string[]} args */
function run(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}`);
  process.exit(1);
}
