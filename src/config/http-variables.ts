import { isIP } from 'node:net';
import { z } from 'zod';
import { mistakesInOrigins } from './origins.ts';
import { whole } from './whole.ts';

const isNetwork = (text: string): boolean => {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  const isLength = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
  return version !== 0 && isLength && rest.length === 0;
};

/** What the service reads of its environment about HTTP. */
export const httpVariables = {
  HTTP_BODY_LIMIT_BYTES: whole(1024, 10_485_760)
    .default(1_048_576)
    .describe('Largest request body; a larger one is refused with 413'),
  HTTP_REQUEST_TIMEOUT_MS: whole(100, 600_000)
    .default(15_000)
    .describe('How long a client may take to send a whole request'),
  HTTP_RESPONSE_TIMEOUT_MS: whole(100, 3_600_000)
    .default(60_000)
    .describe('How long a client may take to read a whole response, and how long a connection may transfer nothing'),
  HTTP_KEEP_ALIVE_MS: whole(1, 3_600_000)
    .default(72_000)
    .describe(
      'How long a connection may stay idle between two requests; set it longer than the load balancer in front keeps its connections',
    ),
  HTTP_MAX_CONNECTIONS: whole(1, 1_000_000)
    .default(10_000)
    .describe(
      'Connections at a time, at most half of them from one address that is no trusted proxy; further ones are closed at once',
    ),
  HTTP_MAX_ARRIVING: whole(1, 1_000_000)
    .default(2000)
    .describe(
      'Request bodies being received, and responses being read, at a time, at most half of them of one address; beyond that, the oldest is cut off',
    ),
  HTTP_MAX_BUFFERED_BYTES: whole(1_048_576, 17_179_869_184)
    .default(134_217_728)
    .describe(
      'Bytes of all request bodies being received, and of all responses being read, at a time; beyond that, the oldest is cut off',
    ),
  IDEMPOTENCY_KEEP_SECONDS: whole(60, 31_536_000)
    .default(86_400)
    .describe('How long an Idempotency-Key is kept with its response'),
  HTTP_MAX_IN_FLIGHT: whole(1, 100_000)
    .default(1000)
    .describe('Requests that one instance handles at a time; further ones are refused with 503'),
  HTTP_TRUSTED_PROXIES: z
    .string()
    .refine(
      (text) => text.split(',').every((one) => isNetwork(one.trim())),
      'must be addresses or networks like 10.0.0.0/8, with commas between',
    )
    .optional()
    .describe(
      'Addresses or networks of proxies whose X-Forwarded-For names the client, separated by commas; if empty, the client is the peer of the connection',
    ),
  HTTP_CORS_ORIGINS: z
    .string()
    .superRefine((text, context) => {
      const wrong = mistakesInOrigins(text);
      if (wrong.length > 0)
        context.addIssue({
          code: 'custom',
          message: `must be origins like https://shop.example; entry ${wrong.join(', ')} is none`,
        });
    })
    .optional()
    .describe('Origins whose pages may use the API from a browser, separated by commas or spaces; if empty, none'),
} as const;
