import { createHash } from 'node:crypto';
import { LockOrder, recordLockOrder } from '../../src/transactions/boundary/lock-order.ts';
import { writeLockOrder } from './lock-order.ts';

// Runs in each test file, before it. A file that takes locks in a wrong order on purpose calls recordLockOrder itself.
const order = new LockOrder();
recordLockOrder(order);
afterAll(() => {
  const { testPath = '' } = expect.getState();
  writeLockOrder(createHash('sha256').update(testPath).digest('hex'), order.edges);
});
