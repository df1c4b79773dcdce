import type { IncomingHttpHeaders } from 'node:http';

// W3C Trace Context, section 3.2: a later version may add fields behind the flags, the first has none.
const traceparent = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** The trace that a request belongs to; null without a valid `traceparent`, which is then ignored, as the standard wants it. */
export function traceIdOf(headers: IncomingHttpHeaders): string | null {
  const [, version, traceId = null, more] = traceparent.exec(String(headers['traceparent'] ?? '')) ?? [];
  return version === '00' && more !== undefined ? null : traceId;
}
