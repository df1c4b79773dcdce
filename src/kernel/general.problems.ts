import { defineProblems } from './problem.ts';

/** What any module may throw, whatever it is about. */
export const generalProblems = defineProblems({
  tokenMissing: {
    kind: 'unauthorized',
    code: 'token-missing',
    title: 'Not signed in',
    meaning: 'Send the access token of POST /v1/sessions: `Authorization: Bearer …`.',
  },
  invalidToken: {
    kind: 'unauthorized',
    code: 'invalid-token',
    title: 'Access token not valid',
    meaning: 'The access token was not given out here, or has expired. Refresh the session.',
  },
  notAllowed: {
    kind: 'forbidden',
    code: 'not-allowed',
    title: 'Not allowed',
    meaning: 'The caller has not the role that this needs. Ask somebody who has.',
  },
  versionMismatch: {
    kind: 'stale',
    code: 'version-mismatch',
    title: 'Changed meanwhile',
    meaning:
      'The version in If-Match is not the present one, which `ETag` tells. Read again, decide again, send again.',
  },
  validationFailed: {
    kind: 'invalid',
    code: 'validation-failed',
    title: 'Input refused',
    meaning: 'The input has not the documented form. `errors` points to each place with the reason.',
  },
  outcomeUnknown: {
    kind: 'unavailable',
    code: 'outcome-unknown',
    title: 'Outcome unknown',
    meaning: 'The connection to the database was lost while storing, and the database could not be asked since.',
    retry: 'with-key',
  },
  reducedCapacity: {
    kind: 'unavailable',
    code: 'temporary-reduced-capacity',
    title: 'Reduced capacity',
    meaning:
      'The database cannot be reached, or as many requests are answered as can be. Nothing is stored. Send it again.',
    retry: 'later',
  },
  transientContention: {
    kind: 'unavailable',
    code: 'transient-contention',
    title: 'Busy',
    meaning:
      'Others kept the same data busy beyond the time and the retries there are. Nothing is stored. Send it again.',
    retry: 'later',
  },
  internalError: {
    kind: 'internal',
    code: 'internal-error',
    title: 'Internal error',
    meaning: 'A mistake of ours. Tell us the `requestId`.',
    detail: 'Something went wrong on our side.',
    retry: 'with-key',
  },
});

/** What was read under a lock is not so any more: not reachable while the rows are locked; the statement that writes asks all the same. */
export function changedMeanwhile(): never {
  throw generalProblems.transientContention('The data was busy for too long. Nothing was stored.');
}
