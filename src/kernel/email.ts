import { domainToASCII, domainToUnicode } from 'node:url';

// RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3, in octets; a path of 256 has its brackets.
const longestLocalPart = 64;
const longestAddress = 254;

// An atom of RFC 5322, with what RFC 6531 adds: any character beyond ASCII that can be seen.
const atom = String.raw`(?:[\w!#$%&'*+/=?^${'`'}{|}~-]|(?![\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])[^\x00-\x7f])+`;
const localPart = new RegExp(String.raw`^${atom}(?:\.${atom})*$`, 'u');
const domainCharacters = /^[\p{L}\p{M}\p{N}.-]+$/u;
// RFC 1123: letters, digits and hyphens inside; two labels at least, and the last one is no number, which an IPv4 address would end with.
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const asciiDomain = new RegExp(String.raw`^(?:${label}\.)+(?!\d+$)${label}$`);

/**
 * The one spelling under which an e-mail address is kept, looked for and counted: composed, in lower case, the domain as people write it;
 * null for what is none (RFC 5321, 5322 and 6531; neither quoted local parts nor addresses in brackets). It is looked at before it is
 * folded: a character that only becomes ASCII by folding, as the Kelvin sign becomes `k`, would make it somebody else's address.
 */
export function canonicalEmail(text: string): string | null {
  const trimmed = text.trim();
  if (!trimmed.isWellFormed() || becomesAscii(trimmed)) return null;
  const folded = trimmed.normalize('NFKC').toLowerCase().normalize('NFC');
  const at = folded.lastIndexOf('@');
  const [local, domain] = [folded.slice(0, Math.max(at, 0)), canonicalDomain(folded.slice(at + 1))];
  if (domain === null || !localPart.test(local) || Buffer.byteLength(local) > longestLocalPart) return null;
  const address = `${local}@${domain}`;
  return [address, `${local}@${domainToASCII(domain)}`].every((one) => Buffer.byteLength(one) <= longestAddress)
    ? address
    : null;
}

function canonicalDomain(domain: string): string | null {
  const ascii = domainCharacters.test(domain) ? domainToASCII(domain) : '';
  return asciiDomain.test(ascii) && ascii.length <= 253 ? domainToUnicode(ascii) : null;
}

const becomesAscii = (text: string): boolean =>
  // eslint-disable-next-line no-control-regex -- ASCII as a whole
  Array.from(text).some((one) => one > '\x7f' && /[\x00-\x7f]/.test(one.toLowerCase().normalize('NFKC')));
