import { randomBytes } from 'node:crypto';

/** A secret for the services of one test file. Made anew each time: one that stood here could be copied. */
export const testSecret = randomBytes(48).toString('base64');
