import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';

// OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane.
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** argon2id, salted. Takes tens of milliseconds of a processor: never inside a boundary. */
export const hashPassword = (password: string): Promise<string> => hash(password, cost);

/** Whether it is the password. Takes as long for an unknown person (`null`), so that the time tells nothing. */
export async function isPassword(passwordHash: string | null, password: string): Promise<boolean> {
  const matches = await verify(passwordHash ?? (await nobody), password);
  return matches && passwordHash !== null;
}

const nobody = hashPassword(randomBytes(24).toString('base64'));
