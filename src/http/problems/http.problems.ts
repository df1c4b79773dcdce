import { defineProblems } from '../../kernel/problem.ts';

/** What HTTP itself refuses: the form of a request, its headers, its path. */
export const httpProblems = defineProblems({
  malformedRequest: {
    kind: 'malformed',
    code: 'malformed-request',
    title: 'Malformed request',
    meaning: 'The request is not HTTP, or its length is not as it says. Correct the client.',
  },
  repeatedHeader: {
    kind: 'malformed',
    code: 'repeated-header',
    title: 'Header repeated',
    meaning: 'A header that may stand once stands twice, such as `Authorization` or `Content-Type`. Send it once.',
  },
  malformedUrl: {
    kind: 'malformed',
    code: 'malformed-url',
    title: 'Malformed URL',
    meaning: 'The path has broken percent-encoding. Encode it again.',
  },
  malformedJson: {
    kind: 'malformed',
    code: 'malformed-json',
    title: 'Malformed JSON',
    meaning: 'The body is not UTF-8 or not JSON, or names a member twice. Correct it.',
  },
  malformedCursor: {
    kind: 'malformed',
    code: 'malformed-cursor',
    title: 'Malformed cursor',
    meaning: 'The cursor was not given out here, or for another list, filter or user. Begin at the first page.',
  },
  malformedIfMatch: {
    kind: 'malformed',
    code: 'malformed-if-match',
    title: 'Malformed If-Match',
    meaning: 'If-Match must be ETags as they were received, such as `"7"`, or `*`.',
  },
  malformedIfNoneMatch: {
    kind: 'malformed',
    code: 'malformed-if-none-match',
    title: 'Malformed If-None-Match',
    meaning: 'If-None-Match must be ETags as they were received, such as `"7"`, or `*`.',
  },
  idempotencyKeyMissing: {
    kind: 'malformed',
    code: 'idempotency-key-missing',
    title: 'Idempotency-Key missing',
    meaning:
      'Send `Idempotency-Key` with a value of your own, best a UUID, and the same one when the request is repeated.',
  },
  malformedIdempotencyKey: {
    kind: 'malformed',
    code: 'malformed-idempotency-key',
    title: 'Malformed Idempotency-Key',
    meaning: 'An Idempotency-Key has 1 to 255 printable ASCII characters, in quotes or not.',
  },
  idempotencyKeyInUse: {
    kind: 'conflict',
    code: 'idempotency-key-in-use',
    title: 'Idempotency-Key in use',
    meaning: 'The first request with this key is not done yet. Send it again, with the same key.',
    retry: 'later',
  },
  idempotencyKeyReused: {
    kind: 'invalid',
    code: 'idempotency-key-reused',
    title: 'Idempotency-Key reused',
    meaning: 'The key was sent with another request: another path, If-Match or body. Take a new key for each request.',
  },
  malformedConsistencyToken: {
    kind: 'malformed',
    code: 'malformed-consistency-token',
    title: 'Malformed Consistency-Token',
    meaning: 'Send Consistency-Token as it was received, or not at all.',
  },
  tooDeep: {
    kind: 'malformed',
    code: 'too-deep',
    title: 'Body nested too deeply',
    meaning: 'Arrays and objects lie more than 32 deep in each other. No request needs that.',
  },
  tooManyValues: {
    kind: 'malformed',
    code: 'too-many-values',
    title: 'Body with too many values',
    meaning: 'The body holds more than 32,768 values. No request needs as many: send less at once.',
  },
  tooManyParameters: {
    kind: 'malformed',
    code: 'too-many-parameters',
    title: 'Too many query parameters',
    meaning: 'The query has more than 32 parameters. No list knows as many.',
  },
  routeNotFound: {
    kind: 'notFound',
    code: 'route-not-found',
    title: 'No such path',
    meaning: 'There is nothing at this path. Look into the OpenAPI document.',
  },
  notFound: {
    kind: 'notFound',
    code: 'not-found',
    title: 'Not found',
    meaning: 'There is no such thing: what stands in the path cannot be the id of anything here.',
  },
  methodNotAllowed: {
    kind: 'methodNotAllowed',
    code: 'method-not-allowed',
    title: 'Method not allowed',
    meaning: 'The path is known, but not with this method. `Allow` names those it knows.',
  },
  notAcceptable: {
    kind: 'notAcceptable',
    code: 'not-acceptable',
    title: 'Not acceptable',
    meaning: '`Accept` excludes application/json, which is what there is. Accept it.',
  },
  requestTooSlow: {
    kind: 'timeout',
    code: 'request-too-slow',
    title: 'Request too slow',
    meaning: 'The request did not arrive whole in time. Send it faster.',
  },
  preconditionFailed: {
    kind: 'stale',
    code: 'precondition-failed',
    title: 'Precondition failed',
    meaning:
      'What If-Match or If-None-Match asks for is not so, or cannot be asked of this path. Read again, decide again, send again.',
  },
  bodyTooLarge: {
    kind: 'tooLarge',
    code: 'body-too-large',
    title: 'Body too large',
    meaning:
      'The body is larger than 16 KiB, or than HTTP_BODY_LIMIT_BYTES where the path takes long lists. Send less at once.',
  },
  urlTooLong: {
    kind: 'urlTooLong',
    code: 'url-too-long',
    title: 'URL too long',
    meaning: 'The path with its query has more than 4,000 characters. Send less in it.',
  },
  unsupportedMediaType: {
    kind: 'unsupported',
    code: 'unsupported-media-type',
    title: 'Media type not supported',
    meaning: 'Bodies are application/json, in UTF-8 and without a content coding. Say so in Content-Type.',
  },
  expectationFailed: {
    kind: 'expectationFailed',
    code: 'expectation-failed',
    title: 'Expectation failed',
    meaning: '`Expect` may ask for `100-continue` and nothing else.',
  },
  preconditionRequired: {
    kind: 'preconditionRequired',
    code: 'precondition-required',
    title: 'Precondition required',
    meaning: 'Send If-Match with the ETag that was seen, or `*` to overwrite.',
  },
  tooMuchToExpand: {
    kind: 'invalid',
    code: 'too-much-to-expand',
    title: 'Too much to expand',
    meaning: 'The answer would hold too many things that `expand` adds. Ask for a smaller page, or expand less.',
  },
  quotaExceeded: {
    kind: 'tooManyRequests',
    code: 'quota-exceeded',
    title: 'Quota exceeded',
    meaning:
      'Too many requests within the window. Wait for `Retry-After` seconds; `violated-policies` says which of `RateLimit-Policy` it was.',
    retry: 'later',
  },
  headersTooLarge: {
    kind: 'headersTooLarge',
    code: 'headers-too-large',
    title: 'Headers too large',
    meaning: 'The headers are larger than 16 KiB. Send fewer.',
  },
  httpVersionNotSupported: {
    kind: 'versionNotSupported',
    code: 'http-version-not-supported',
    title: 'HTTP version not supported',
    meaning: 'Send the request as HTTP/1.1.',
  },
  shuttingDown: {
    kind: 'unavailable',
    code: 'shutting-down',
    title: 'Stopping',
    meaning: 'This instance is stopping. Nothing is stored. Send it again, and another will answer.',
    retry: 'later',
  },
});
