import { defineProblems } from '../../kernel/problem.ts';

const own = 'Read `detail`.';

/**
 * What an exception of Nest is answered with: one code for each status. `throw new ConflictException('…')` in a module, a guard that says no,
 * and packages made for Nest arrive here; a module's own problems have codes of their own.
 */
export const statusProblems = defineProblems({
  badRequest: {
    kind: 'malformed',
    code: 'bad-request',
    title: 'Bad request',
    meaning: `The request is wrong in itself. ${own}`,
  },
  unauthorized: {
    kind: 'unauthorized',
    code: 'unauthorized',
    title: 'Unauthorized',
    meaning: `The caller is not known well enough for this. ${own}`,
  },
  paymentRequired: {
    kind: 'paymentRequired',
    code: 'payment-required',
    title: 'Payment required',
    meaning: `This must be paid for first. ${own}`,
  },
  forbidden: {
    kind: 'forbidden',
    code: 'forbidden',
    title: 'Forbidden',
    meaning: `The caller may not do this. ${own}`,
  },
  requestTimeout: {
    kind: 'timeout',
    code: 'request-timeout',
    title: 'Request timeout',
    meaning: `The request took too long. ${own}`,
    retry: 'later',
  },
  conflict: {
    kind: 'conflict',
    code: 'conflict',
    title: 'Conflict',
    meaning: `The state of the thing does not allow this. ${own}`,
  },
  gone: { kind: 'gone', code: 'gone', title: 'Gone', meaning: `The thing was here and is here no more. ${own}` },
  lengthRequired: {
    kind: 'lengthRequired',
    code: 'length-required',
    title: 'Length required',
    meaning: 'Send the body with its Content-Length.',
  },
  rangeNotSatisfiable: {
    kind: 'rangeNotSatisfiable',
    code: 'range-not-satisfiable',
    title: 'Range not satisfiable',
    meaning: 'The thing has no such range. Ask for another.',
  },
  imATeapot: { kind: 'teapot', code: 'im-a-teapot', title: 'I am a teapot', meaning: `No coffee is made here. ${own}` },
  misdirectedRequest: {
    kind: 'misdirected',
    code: 'misdirected-request',
    title: 'Misdirected request',
    meaning: 'This server does not answer for that host.',
  },
  unprocessableEntity: {
    kind: 'invalid',
    code: 'unprocessable-entity',
    title: 'Unprocessable entity',
    meaning: `The input is understood and refused. ${own}`,
  },
  locked: {
    kind: 'locked',
    code: 'locked',
    title: 'Locked',
    meaning: 'Somebody else has the thing locked. Send the request again later.',
    retry: 'later',
  },
  failedDependency: {
    kind: 'failedDependency',
    code: 'failed-dependency',
    title: 'Failed dependency',
    meaning: `What this depends on has failed. ${own}`,
  },
  tooEarly: {
    kind: 'tooEarly',
    code: 'too-early',
    title: 'Too early',
    meaning: 'The request might be a replay. Send it again once the handshake is done.',
    retry: 'later',
  },
  upgradeRequired: {
    kind: 'upgradeRequired',
    code: 'upgrade-required',
    title: 'Upgrade required',
    meaning: `Another protocol is asked for. ${own}`,
  },
  tooManyRequests: {
    kind: 'tooManyRequests',
    code: 'too-many-requests',
    title: 'Too many requests',
    meaning: 'A route has a limit of its own. Send the request again later.',
    retry: 'later',
  },
  unavailableForLegalReasons: {
    kind: 'unavailableForLegalReasons',
    code: 'unavailable-for-legal-reasons',
    title: 'Unavailable for legal reasons',
    meaning: `The law forbids the answer. ${own}`,
  },
  requestRefused: {
    kind: 'malformed',
    code: 'request-refused',
    title: 'Request refused',
    meaning: `Refused with a status of its own, other than 400. ${own}`,
  },
  notImplemented: {
    kind: 'notImplemented',
    code: 'not-implemented',
    title: 'Not implemented',
    meaning: 'The service does not know how to do this yet.',
  },
  badGateway: {
    kind: 'badGateway',
    code: 'bad-gateway',
    title: 'Bad gateway',
    meaning: 'Another service gave an answer that is of no use. Read what became of it.',
    retry: 'with-key',
  },
  serviceUnavailable: {
    kind: 'unavailable',
    code: 'service-unavailable',
    title: 'Service unavailable',
    meaning: 'A part of the service is not available. Send it again.',
    retry: 'later',
  },
  gatewayTimeout: {
    kind: 'gatewayTimeout',
    code: 'gateway-timeout',
    title: 'Gateway timeout',
    meaning: 'Another service gave no answer in time. Read what became of it.',
    retry: 'with-key',
  },
  insufficientStorage: {
    kind: 'insufficientStorage',
    code: 'insufficient-storage',
    title: 'Insufficient storage',
    meaning: 'There is no room to store this. Tell us.',
  },
});
