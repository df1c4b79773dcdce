import { final, type KnownProblem, passing, unknown } from './known-problem.ts';

/** What any request may be refused with, whatever it is about. */
export const problemsOfHttp = {
  'malformed-request': final(
    400,
    'Malformed request',
    'The request is not HTTP, or its length is not as it says. Correct the client.',
  ),
  'malformed-url': final(400, 'Malformed URL', 'The path has broken percent-encoding. Encode it again.'),
  'malformed-json': final(
    400,
    'Malformed JSON',
    'The body is empty, not UTF-8 or not JSON, names a member twice, or names one that no object may have, such as `__proto__`. Correct it.',
  ),
  'malformed-cursor': final(
    400,
    'Malformed cursor',
    'The cursor was not given out here, or for another list, filter or user. Begin at the first page.',
  ),
  'malformed-if-match': final(
    400,
    'Malformed If-Match',
    'If-Match must be one ETag as it was received, such as `"7"`, or `*`.',
  ),
  'idempotency-key-missing': final(
    400,
    'Idempotency-Key missing',
    'Send `Idempotency-Key` with a value of your own, best a UUID, and the same one when the request is repeated.',
  ),
  'malformed-idempotency-key': final(
    400,
    'Malformed Idempotency-Key',
    'An Idempotency-Key has 1 to 255 printable ASCII characters, in quotes or not.',
  ),
  'idempotency-key-in-use': passing(
    409,
    'Idempotency-Key in use',
    'The first request with this key is not done yet. Send it again, with the same key.',
  ),
  'idempotency-key-reused': final(
    422,
    'Idempotency-Key reused',
    'The key was sent with another request: another path, If-Match or body. Take a new key for each request.',
  ),
  'malformed-consistency-token': final(
    400,
    'Malformed Consistency-Token',
    'Send Consistency-Token as it was received, or not at all.',
  ),
  'too-deep': final(
    400,
    'Body nested too deeply',
    'Arrays and objects lie more than 32 deep in each other. No request needs that.',
  ),
  'too-many-parameters': final(
    400,
    'Too many query parameters',
    'The query has more than 32 parameters. No list knows as many.',
  ),
  'token-missing': final(
    401,
    'Not signed in',
    'Send the access token of POST /v1/sessions: `Authorization: Bearer …`.',
  ),
  'invalid-token': final(
    401,
    'Access token not valid',
    'The access token was not given out here, or has expired. Refresh the session.',
  ),
  'not-allowed': final(403, 'Not allowed', 'The caller has not the role that this needs. Ask somebody who has.'),
  'route-not-found': final(404, 'No such path', 'There is nothing at this path. Look into the OpenAPI document.'),
  'not-found': final(404, 'Not found', 'What stands in the path cannot be the id of anything here. Correct it.'),
  'method-not-allowed': final(
    405,
    'Method not allowed',
    'The path is known, but not with this method. `Allow` names those it knows.',
  ),
  'not-acceptable': final(
    406,
    'Not acceptable',
    '`Accept` excludes application/json, which is what there is. Accept it.',
  ),
  'request-too-slow': final(408, 'Request too slow', 'The request did not arrive whole in time. Send it faster.'),
  'version-mismatch': final(
    412,
    'Changed meanwhile',
    'The version in If-Match is not the present one, which `ETag` tells. Read again, decide again, send again.',
  ),
  'body-too-large': final(413, 'Body too large', 'The body is larger than HTTP_BODY_LIMIT_BYTES. Send less at once.'),
  'url-too-long': final(
    414,
    'URL too long',
    'The path with its query has more than 4,000 characters. Send less in it.',
  ),
  'unsupported-media-type': final(
    415,
    'Media type not supported',
    'Bodies are application/json. Say so in Content-Type.',
  ),
  'validation-failed': final(
    422,
    'Input refused',
    'The input has not the documented form. `errors` points to each place with the reason.',
  ),
  'precondition-required': final(
    428,
    'Precondition required',
    'Send If-Match with the ETag that was seen, or `*` to overwrite.',
  ),
  'too-much-to-expand': final(
    422,
    'Too much to expand',
    'The answer would hold too many things that `expand` adds. Ask for a smaller page, or expand less.',
  ),
  'quota-exceeded': passing(
    429,
    'Quota exceeded',
    'Too many requests within the window. Wait for `Retry-After` seconds; `violated-policies` says which of `RateLimit-Policy` it was.',
  ),
  'headers-too-large': final(431, 'Headers too large', 'The headers are larger than 16 KiB. Send fewer.'),
  'internal-error': unknown(500, 'Internal error', 'A mistake of ours. Tell us the `requestId`.'),
  'outcome-unknown': unknown(
    503,
    'Outcome unknown',
    'The connection to the database was lost while storing, and the database could not be asked since.',
  ),
  'temporary-reduced-capacity': passing(
    503,
    'Reduced capacity',
    'The database cannot be reached, or as many requests are answered as can be. Nothing is stored. Send it again.',
  ),
  'transient-contention': passing(
    503,
    'Busy',
    'Others kept the same data busy beyond the time and the retries there are. Nothing is stored. Send it again.',
  ),
  'shutting-down': passing(
    503,
    'Stopping',
    'This instance is stopping. Nothing is stored. Send it again, and another will answer.',
  ),
} satisfies Record<string, KnownProblem>;
