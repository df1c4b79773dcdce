import { LoggableError } from '../../../src/kernel/loggable-error.ts';
import { keepingErrors, keepLine } from '../service-errors.ts';

// Run by service-errors.test.ts, as a file of its own: two of these fail.
class OutOfStockError extends LoggableError {
  override readonly name = 'OutOfStockError';
}
const log = keepingErrors();
const answer = (cause: unknown): number => {
  log.error({ err: new OutOfStockError('Nothing is left of it.', { cause }) }, 'request failed');
  return 500;
};

it('passes although the service fails', () => {
  expect(answer('before')).toBe(500);
});

it('fails as the service did', () => {
  const ofDatabase = { code: 'HF002', severity: 'ERROR', hint: 'Look in the cellar' };
  expect(answer(Object.assign(new Error('stock is negative'), ofDatabase))).toBe(201);
});

it('fails by itself', () => {
  keepLine('{"level":30,"msg":"nothing bad"}');
  expect(1).toBe(2);
});
