import { consistencySchema, consistencyToken } from '../consistency.ts';
import { idempotentReplayed } from '../idempotency/idempotency.ts';

type Json = Record<string, unknown>;

/** A parameter as OpenAPI has it. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header' | 'cookie';
  readonly required: boolean;
  readonly schema: Json;
  readonly description?: string;
  /** What /docs fills in: it reads no `examples` of a schema. */
  example?: unknown;
}

const text = { type: 'string' };

/** What the answers of several operations carry: components/headers of the OpenAPI document. */
export const commonHeaders = {
  RequestId: { description: 'Names the request in our logs; your own, when you sent one', schema: text },
  RateLimitPolicy: {
    description: 'The quotas that this request counts in: `q` requests in a window of `w` seconds, on this instance',
    schema: { ...text, examples: ['"principal";q=12000;w=60'] },
  },
  RateLimit: {
    description: 'What is left of each: `r` requests for `t` seconds. Absent where a request was turned away uncounted',
    schema: { ...text, examples: ['"principal";r=11999;t=60'] },
  },
  RetryAfter: { description: 'Seconds until a retry makes sense', schema: { ...text, examples: ['1'] } },
  ETag: {
    description: 'Strong; for If-None-Match, and where something has a `version` for If-Match',
    schema: { ...text, examples: ['"7-3q2-7wAAyv66vt8B"'] },
  },
  PresentVersion: { description: 'The version that is there', schema: { ...text, examples: ['"7"'] } },
  Location: { description: 'Path of what was made', schema: text },
  Link: {
    description:
      'RFC 8288, relative: `rel="next"` is the next page, absent on the last; `rel="first"` the first with the same filter and limit',
    schema: text,
  },
  IdempotentReplayed: {
    description: 'Where the same Idempotency-Key was answered so before, and nothing was done now',
    schema: { ...text, const: 'true' },
  },
  PreferenceApplied: {
    description: 'Where the body was left out as preferred',
    schema: { ...text, const: 'return=minimal' },
  },
  WaitApplied: {
    description: 'Where `Prefer: wait` was sent: how many seconds were waited at most',
    schema: { ...text, examples: ['wait=20'] },
  },
  RightType: {
    description: 'What bodies may be, with the name of the method',
    schema: { ...text, const: 'application/json' },
  },
  RightEncoding: {
    description: 'Where the body had a content coding: none may be used',
    schema: { ...text, const: 'identity' },
  },
  WwwAuthenticate: {
    description: 'Bearer; with `error="invalid_token"` where a token was sent',
    schema: { ...text, examples: ['Bearer error="invalid_token"'] },
  },
  ConsistencyToken: {
    description:
      'After a write, and wherever one was sent: send it with the next requests, and they show at least what was stored by now. ' +
      'Opaque; may be given to others',
    schema: consistencySchema,
  },
};

const prefer = (description: string): Parameter => ({
  name: 'Prefer',
  in: 'header',
  required: false,
  description,
  schema: { type: 'string', examples: ['return=minimal'] },
});

/** What several operations take: components/parameters of the OpenAPI document. */
export const commonParameters = {
  ConsistencyToken: {
    name: consistencyToken,
    in: 'header',
    required: false,
    description: 'The one received last: the answer shows at least what was stored by then',
    schema: consistencySchema,
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description: 'The ETag that was received, or several, or `*` (RFC 9110, section 13.1.2): 304 while nothing differs',
    schema: { type: 'string', examples: ['"7-3q2-7wAAyv66vt8B"'] },
  },
  PreferWhereChanged: prefer(
    '`return=minimal` (RFC 7240): what would be 200 is 204 without a body, with the headers of the 200 and `Preference-Applied`. ' +
      'It is not listed with the responses, so that only whoever asks for it has to reckon with no body',
  ),
  PreferWhereMade: prefer(
    '`return=minimal` (RFC 7240): 201 without a body, with its headers and `Preference-Applied`. What was made is at `Location`',
  ),
} satisfies Record<string, Parameter>;

/** A pointer at the component of this name. */
export const headerRef = (name: keyof typeof commonHeaders) => ({ $ref: `#/components/headers/${name}` });

/** Points at what is in components/parameters, and leaves others as they are. */
export function parameterRef(parameter: Parameter): Parameter | { $ref: string } {
  const [name] = Object.entries(commonParameters).find(([, known]) => known === parameter) ?? [];
  return name === undefined ? parameter : { $ref: `#/components/parameters/${name}` };
}

/** What every answer carries. */
export const everyAnswer = {
  'Request-Id': headerRef('RequestId'),
  [consistencyToken]: headerRef('ConsistencyToken'),
  'RateLimit-Policy': headerRef('RateLimitPolicy'),
  RateLimit: headerRef('RateLimit'),
};
export const links = { Link: headerRef('Link') };
export const tagged = { ETag: headerRef('ETag') };
export const minimal = { 'Preference-Applied': headerRef('PreferenceApplied') };
export const waited = { 'Preference-Applied': headerRef('WaitApplied') };
export const replayed = { [idempotentReplayed]: headerRef('IdempotentReplayed') };
