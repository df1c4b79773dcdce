// Promises that are not waited for, wherever they are made.
import noDroppedPromise from './no-dropped-promise.mjs';

export default {
  meta: { name: 'promises' },
  rules: { 'no-dropped-promise': noDroppedPromise },
};
