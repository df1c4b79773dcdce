import { createInterface } from 'node:readline/promises';

/** The first line of standard input. */
export async function readPassword() {
  if (process.stdin.isTTY) process.stderr.write('Password (it will be seen): ');
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) return line;
  return '';
}
