const leastBytes = 32;
const make = 'make one with: openssl rand -base64 48';
const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
const hexadecimal = /^[0-9a-f]+$/i;
// None of them shorter than six letters: a generated secret holds such a word by chance less than once in a million.
const words =
  /secret|passw[o0]rd|change.?me|replace|example|default|holdfast|insecure|qwerty|letmein|openssl|placeholder|development/i;

/**
 * What is wrong with a secret that signs; null when nothing is. It must be base64 (or hexadecimal) of at least 32 random bytes: a word, a
 * pattern or a sentence can be guessed, and whoever guesses it is an operator.
 */
export function weaknessOf(secret: string): string | null {
  if (!base64.test(secret)) return `must be base64 of at least ${leastBytes} random bytes; ${make}`;
  const bytes = hexadecimal.test(secret) ? Buffer.from(secret, 'hex') : Buffer.from(secret, 'base64');
  if (bytes.length < leastBytes) return `must hold at least ${leastBytes} bytes once it is decoded; ${make}`;
  return isGuessable(secret, bytes) ? `can be guessed: it is not random; ${make}` : null;
}

function isGuessable(secret: string, bytes: Buffer): boolean {
  return words.test(secret) || isText(bytes) || isPeriodic(bytes) || lacksVariety(secret, bytes) || isSequence(secret);
}

// 32 random bytes are all printable once in 10^13 times.
const isText = (bytes: Buffer): boolean => /^[\x20-\x7e\r\n]*$/.test(bytes.toString('latin1'));

/** `abcabcabc…`: it goes on with what it began with. Eight bytes are the same by chance once in 10^19 times. */
function isPeriodic(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  const periods = Array.from({ length: Math.min(leastBytes, text.length - 7) - 1 }, (_, n) => n + 1);
  return periods.some((n) => text.startsWith(text.slice(n)));
}

/** Fewer different bytes, or kinds of characters, than chance gives. */
function lacksVariety(secret: string, bytes: Buffer): boolean {
  if (new Set(bytes).size < leastBytes / 2) return true;
  return !hexadecimal.test(secret) && !(/[a-z]/.test(secret) && /[A-Z]/.test(secret));
}

/** `abcdef…`, `0123…`: each character is the neighbour of the one before. By chance one in twenty is. */
function isSequence(secret: string): boolean {
  const codes = Array.from(secret, (character) => character.charCodeAt(0));
  const neighbours = codes.filter((code, index) => Math.abs(code - (codes[index - 1] ?? -9)) <= 1);
  return neighbours.length > codes.length / 3;
}
