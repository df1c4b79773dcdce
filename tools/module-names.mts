// The names that a module is written with, and what is wrong with a name that it cannot have.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const pluralize = createRequire(import.meta.url)('pluralize') as {
  plural(word: string): string;
  singular(word: string): string;
};

/** A noun in kebab-case, in both of its forms. */
export interface Noun {
  readonly plural: string;
  readonly singular: string;
}

// A class and its longest method name a transaction, which PostgreSQL cuts at 63 bytes.
const longest = 30;
// test/lint.test.ts and .dependency-cruiser.cjs refuse files and types that are named so.
const tellNothing = /(^|-)(common|shared|interface|dto|entity|impl|manager|helper|util)$/;
// A model of the schema cannot be named so.
const ofPrisma = new Set(['string', 'int', 'big-int', 'float', 'boolean', 'date-time', 'decimal', 'prisma']);

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const pascal = (kebab: string): string => kebab.split('-').map(capital).join('');
const snake = (kebab: string): string => kebab.replaceAll('-', '_');

/** The prefix that the ids of the thing have: two to sixteen letters. */
export const prefixOf = ({ singular }: Noun): string => singular.replaceAll('-', '').slice(0, 16);

/** Reads the argument of `npm run add-module`. Throws a sentence that says what is wrong with it. */
export function readNoun(name: string): Noun {
  const kebab = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll(/[\s_]+/g, '-')
    .toLowerCase();
  if (!/^[a-z]{2,}(-[a-z]{2,})*$/.test(kebab))
    throw new Error(`"${name}" is no name of a module: use small letters, and hyphens between words.`);
  if (kebab !== name) throw new Error(`Write the name in small letters, with hyphens between words: ${kebab}.`);
  const lastWord = name.lastIndexOf('-') + 1;
  const [before, last] = [name.slice(0, lastWord), name.slice(lastWord)];
  const noun = { plural: before + pluralize.plural(last), singular: before + pluralize.singular(last) };
  if (noun.plural === noun.singular)
    throw new Error(`${name} has no plural of its own, and a module needs two names: choose another noun.`);
  if (noun.plural !== name) throw new Error(`A module has a plural name: ${noun.plural}.`);
  if (name.length > longest) throw new Error(`${name} is too long: a name has ${longest} letters at most.`);
  if (tellNothing.test(noun.singular))
    throw new Error(`${name} says nothing of what the module holds: name it after a thing of its field.`);
  if (ofPrisma.has(noun.singular))
    throw new Error(`${name} is a word that Prisma keeps for itself: choose another noun.`);
  return noun;
}

/** What is there already under one of the names that the module needs; null where all are free. */
export function takenBy(noun: Noun): string | null {
  const file = [`src/modules/${noun.plural}`, `prisma/${noun.plural}.prisma`, `test/${noun.plural}.test.ts`];
  const there = [...file, `test/cases/${noun.plural}.ts`].find((path) => existsSync(path));
  if (there !== undefined) return there;
  return takenInSchema(noun) ?? takenInApi(noun) ?? takenPrefix(noun);
}

function takenInSchema({ singular }: Noun): string | null {
  for (const file of globSync('prisma/*.prisma')) {
    const text = readFileSync(file, 'utf8');
    if (new RegExp(`@@map\\("${snake(singular)}"\\)`).test(text)) return `${snake(singular)} in the database (${file})`;
    if (new RegExp(`^(model|view|enum) ${pascal(singular)} \\{`, 'm').test(text))
      return `${pascal(singular)} (${file})`;
  }
  return null;
}

interface Document {
  readonly paths: Readonly<Record<string, unknown>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

function takenInApi({ plural, singular }: Noun): string | null {
  const { paths, components } = JSON.parse(readFileSync('openapi.json', 'utf8')) as Document;
  const path = `/v1/${plural}`;
  if (Object.keys(paths).some((one) => one === path || one.startsWith(`${path}/`))) return `the path ${path}`;
  const schemas = ['', 'New', 'Patch', 'Page'].map((part) =>
    part === 'New' ? `New${pascal(singular)}` : `${pascal(singular)}${part}`,
  );
  const schema = schemas.find((name) => name in components.schemas);
  if (schema !== undefined) return `the schema ${schema} (openapi.json)`;
  const codes = readFileSync(join('docs', 'problems.md'), 'utf8');
  const code = [`${singular}-not-found`, `${singular}-archived`].find((one) => codes.includes(`\`${one}\``));
  return code === undefined ? null : `the problem ${code} (docs/problems.md)`;
}

function takenPrefix(noun: Noun): string | null {
  const prefix = prefixOf(noun);
  const file = globSync('src/modules/**/*.ts').find((path) => {
    const kinds = /defineIdKinds\(\{([^}]*)\}/.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
    return new RegExp(`\\b${prefix}:`).test(kinds);
  });
  return file === undefined ? null : `the prefix ${prefix}_ of ids (${file})`;
}

// `sample thing` in each way in which it is written, with its article.
const sample = /(?:\b([Aa]) )?([Ss])ample([-_ ]?)([Tt])hing(s?)/g;

/** The text of a template, or its path, with the noun in place of `sample thing`. */
export function named(text: string, noun: Noun): string {
  return text.replaceAll(sample, (...parts: string[]) => {
    const [, article, first = '', separator = '', second = '', plural] = parts;
    const word = plural === 's' ? noun.plural : noun.singular;
    const written = inStyle(word, { isCapital: first === 'S', separator, isJoined: second === 't', noun });
    return article === undefined ? written : `${article}${/^[aeio]/i.test(word) ? 'n' : ''} ${written}`;
  });
}

interface Style {
  readonly isCapital: boolean;
  readonly separator: string;
  /** `samplething`, the prefix of ids. */
  readonly isJoined: boolean;
  readonly noun: Noun;
}

function inStyle(word: string, { isCapital, separator, isJoined, noun }: Style): string {
  if (separator !== '') {
    const written = word.replaceAll('-', separator);
    return isCapital ? capital(written) : written;
  }
  if (isJoined) return prefixOf(noun);
  const name = pascal(word);
  return isCapital ? name : name.charAt(0).toLowerCase() + name.slice(1);
}
