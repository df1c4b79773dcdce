/** @servers any */
import { databaseFailure, isOutcomeUnknown, isUnreachable } from './postgres-errors.ts';

const failing = (code: string, message = '') => Object.assign(new Error(message), { code });

describe('an error of the database', () => {
  it.each(['23505', '40001', '57014', 'XX000'])('with the SQLSTATE %s is what PostgreSQL answered', (code) => {
    expect(databaseFailure(failing(code))).toEqual({ sqlState: code, constraint: null });
    expect(isUnreachable(failing(code))).toBe(false);
  });

  it.each(['EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT', 'P1001', 'P1017'])(
    'with the code %s is none that PostgreSQL gave: it was not reached',
    (code) => {
      expect(databaseFailure(failing(code))).toBeNull();
      expect(isUnreachable(failing(code))).toBe(true);
    },
  );

  it('leaves open what became of a write only when the statement may have arrived', () => {
    expect(isOutcomeUnknown(failing('EPIPE'))).toBe(true);
    expect(isOutcomeUnknown(failing('ECONNRESET'))).toBe(true);
    expect(isOutcomeUnknown(failing('57P01'))).toBe(true);
    expect(isOutcomeUnknown(failing('ECONNREFUSED'))).toBe(false);
    expect(isOutcomeUnknown(failing('53300'))).toBe(false);
    expect(isOutcomeUnknown(failing('23505'))).toBe(false);
  });
});
