type Json = Readonly<Record<string, unknown>>;

/** Where a body has an array or an object: the members that lead to it, a number for an element. */
export interface Container {
  readonly path: readonly (string | number)[];
  readonly type: 'array' | 'object';
}

/** Every array and object of the body of an operation, as the OpenAPI document has it. */
export function containersOf(document: Json, method: string, path: string): Container[] {
  const body = at(document, ['paths', path, method, 'requestBody', 'content', 'application/json', 'schema']);
  return containersIn(document, body, []);
}

function containersIn(document: Json, given: unknown, path: Container['path']): Container[] {
  if (typeof given !== 'object' || given === null) return [];
  const schema = given as Json;
  if (typeof schema['$ref'] === 'string')
    return containersIn(document, at(document, schema['$ref'].split('/').slice(1)), path);
  const choices = ['anyOf', 'oneOf', 'allOf'].flatMap((name) => (schema[name] ?? []) as unknown[]);
  const within = choices.flatMap((choice) => containersIn(document, choice, path));
  if ([schema['type']].flat().includes('array'))
    return [...within, { path, type: 'array' }, ...containersIn(document, schema['items'], [...path, 0])];
  if (schema['properties'] === undefined) return within;
  const members = Object.entries(schema['properties'] as Json);
  const deeper = members.flatMap(([name, member]) => containersIn(document, member, [...path, name]));
  return [...within, { path, type: 'object' }, ...deeper];
}

/** The body with this text in the place of the container; what leads to it is made where it is not there. */
export function bodyWith(body: unknown, [first, ...rest]: Container['path'], text: string): string {
  if (first === undefined) return text;
  const inner = typeof body === 'object' && body !== null ? (body as Json)[first] : undefined;
  const filled = bodyWith(inner, rest, text);
  if (typeof first === 'number') return `[${filled}]`;
  const others = Object.entries((body ?? {}) as Json).filter(([name]) => name !== first);
  const members = [...others.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)];
  return `{${[...members, `${JSON.stringify(first)}:${filled}`].join(',')}}`;
}

const at = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Json | undefined)?.[name.replaceAll('~1', '/')], value);
