import { createHmac, timingSafeEqual } from 'node:crypto';

/** Checks the header `Authorization` of a request as one does by hand: signature and time. */
export function verifierOf(secret: string): (header: string | undefined) => boolean {
  return (header = '') => {
    const token = header.slice('Bearer '.length);
    const [first, last] = [token.indexOf('.'), token.lastIndexOf('.')];
    const expected = createHmac('sha256', secret).update(token.slice(0, last)).digest();
    const signature = Buffer.from(token.slice(last + 1), 'base64url');
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return false;
    const claims = JSON.parse(Buffer.from(token.slice(first + 1, last), 'base64url').toString()) as { exp: number };
    return claims.exp * 1000 > Date.now();
  };
}
