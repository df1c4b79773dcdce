import type { Response } from 'supertest';
import { problemOf } from '../../src/kernel/problem.ts';

const members = ['type', 'title', 'status', 'detail', 'instance', 'code', 'retryable', 'requestId'];
/** What must never leave the house: SQL, stacks, names of tables, columns and libraries. */
const insides =
  /\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b|prisma|node_modules|\.ts\b|\bat .*\(|pg_|violates|constraint|relation|column|stack|_hash|refresh_token|stock_movement|order_line|order_is_whole/i;

/** That this is a problem as RFC 9457 and the documentation have it, with this code when one is given, and tells nothing it should not. */
export function expectProblem({ status, headers, body, text, request }: Response, code?: string): void {
  expect(headers['content-type']).toMatch(/^application\/problem\+json(; charset=utf-8)?$/);
  const { errors, 'violated-policies': _, ...rest } = body as Record<string, unknown>;
  expect(Object.keys(rest).sort()).toEqual([...members].sort());
  expect(body).toMatchObject({ status, code: code ?? expect.stringMatching(/^[a-z]+(-[a-z]+)*$/) });
  expect(body.type).toBe(`/problems#${body.code}`);
  expect(body.requestId).toBe(headers['request-id']);
  for (const member of ['title', 'detail', 'instance', 'requestId']) expect(body[member]).toEqual(expect.any(String));
  expect(body.title).not.toBe('');
  expect(body.detail).not.toBe('');
  const known = problemOf(String(body.code));
  expect({ status, title: body.title, retryable: body.retryable }).toEqual({
    status: known?.status,
    title: known?.title,
    retryable: known?.retry === 'later' || (known?.retry === 'with-key' && isKeyed(request)),
  });
  if (known?.retry === 'later') expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
  if (errors !== undefined)
    for (const error of errors as Record<string, unknown>[]) {
      expect(error['code']).toEqual(expect.stringMatching(/^[a-z]+(-[a-z]+)*$/));
      expect([typeof error['pointer'], typeof error['parameter']].sort()).toEqual(['string', 'undefined']);
    }
  expect(text.replace(String(body.instance), '')).not.toMatch(insides);
}

const isKeyed = (request: Response['request']): boolean =>
  (request as unknown as { getHeader(name: string): unknown }).getHeader('idempotency-key') !== undefined;
