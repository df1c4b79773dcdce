import type { TestApp } from './app.ts';

export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema & { readonly enum?: readonly string[]; readonly const?: string };
  readonly examples?: readonly unknown[];
}
export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: Schema;
}
interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema: Schema; readonly examples?: object }>>;
}
interface Described {
  readonly operationId: string;
  readonly parameters: readonly (Parameter | { readonly $ref: string })[];
  readonly requestBody?: Answer;
  readonly responses: Readonly<Record<string, Answer>>;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
}
interface Components {
  readonly schemas: Readonly<Record<string, Schema>>;
  readonly parameters: Readonly<Record<string, Parameter>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: Components;
}

export type Method = 'get' | 'post' | 'patch' | 'delete';

/** An operation of the OpenAPI document. */
export interface Operation {
  /** `PATCH /v1/users/{id}` */
  readonly name: string;
  readonly id: string;
  readonly method: Method;
  /** With its parameters in braces: `/v1/users/{id}`. */
  readonly template: string;
  readonly parameters: readonly Parameter[];
  /** The schema of the body; null where the operation takes none. */
  readonly body: Schema | null;
  /** The statuses of success, and what is answered with them. */
  readonly successes: Readonly<Record<string, Schema | null>>;
  readonly codes: readonly string[];
  readonly isPublic: boolean;
  readonly isForOperators: boolean;
}

/** All operations that the service documents under /v1, in the order of the document. */
export async function operationsOf({ as }: Pick<TestApp, 'as'>): Promise<Operation[]> {
  const { paths, components } = (await as().get('/openapi.json').expect(200)).body as Document;
  return Object.entries(paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, described]) => operation(template, method as Method, described, components)),
  );
}

function operation(template: string, method: Method, described: Described, components: Components): Operation {
  const { operationId, parameters, requestBody, responses, security } = described;
  const last = ($ref: string): string => $ref.split('/').at(-1) ?? '';
  const resolved = (schema?: Schema): Schema | null =>
    (schema?.$ref === undefined ? schema : components.schemas[last(schema.$ref)]) ?? null;
  const json = (answer?: Answer): Schema | null => resolved(answer?.content?.['application/json']?.schema);
  const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  return {
    name: `${method.toUpperCase()} ${template}`,
    id: operationId,
    method,
    template,
    parameters: parameters.map((one) => ('$ref' in one ? components.parameters[last(one.$ref)]! : one)),
    body: json(requestBody),
    successes: Object.fromEntries(successes.map(([status, answer]) => [status, json(answer)])),
    codes: Object.values(responses).flatMap(({ content }) =>
      Object.keys(content?.['application/problem+json']?.examples ?? {}),
    ),
    isPublic: security.length === 0,
    isForOperators: security.flatMap((one) => Object.values(one).flat()).includes('operator'),
  };
}

/** The parameter of that name, in whichever place. */
export const parameterOf = ({ parameters }: Operation, name: string): Parameter | null =>
  parameters.find((parameter) => parameter.name === name) ?? null;

/** Whether the operation answers page by page. A feed has cursors as well, and no end. */
export const isList = (operation: Operation): boolean =>
  parameterOf(operation, 'cursor') !== null && operation.id.startsWith('list');

/** `usr` of `usr_01h455vb4pex5vsknk084sn02q`; null of what is no id. */
export const prefixOf = (value: unknown): string | null =>
  typeof value === 'string' ? (/^([a-z]+)_[0-9a-hjkmnp-tv-z]{26}$/.exec(value)?.[1] ?? null) : null;
