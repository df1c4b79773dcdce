// Our own rules of what may stand in a boundary (@Transactional(), transactions.run): the mistakes that a test rarely meets.
import noNeedlessBoundary from './no-needless-boundary.mjs';
import noOutsideWork from './no-outside-work.mjs';
import noParallelNested from './no-parallel-nested.mjs';
import noRawClient from './no-raw-client.mjs';
import noSeparateWrites from './no-separate-writes.mjs';
import noSingleReadBoundary from './no-single-read-boundary.mjs';
import noSwallowedError from './no-swallowed-error.mjs';
import noUnawaitedWork from './no-unawaited-work.mjs';
import serializableNeedsRetry from './serializable-needs-retry.mjs';

const rules = {
  'no-needless-boundary': noNeedlessBoundary,
  'no-outside-work': noOutsideWork,
  'no-parallel-nested': noParallelNested,
  'no-raw-client': noRawClient,
  'no-separate-writes': noSeparateWrites,
  'no-single-read-boundary': noSingleReadBoundary,
  'no-swallowed-error': noSwallowedError,
  'no-unawaited-work': noUnawaitedWork,
  'serializable-needs-retry': serializableNeedsRetry,
};

export default {
  meta: { name: 'transactions' },
  rules,
  /** All of them, as errors. */
  all: Object.fromEntries(Object.keys(rules).map((name) => [`transactions/${name}`, 'error'])),
};
