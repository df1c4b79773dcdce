import { generate } from 'selfsigned';

/** A key and its certificate, PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const inAYear = () => new Date(Date.now() + 365 * 86_400_000);
const made = async (...params: Parameters<typeof generate>): Promise<Certificate> => {
  const { private: key, cert } = await generate(...params);
  return { key, cert };
};

/** An authority that nobody knows but who has its certificate. */
export const authority = (name: string): Promise<Certificate> =>
  made([{ name: 'commonName', value: name }], {
    notAfterDate: inAYear(),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });

/** The certificate of a server at 127.0.0.1 and of this name, signed by the authority; expired when it says so. */
export const ofServer = (ca: Certificate, name: string, isExpired = false): Promise<Certificate> =>
  made([{ name: 'commonName', value: name }], {
    ca,
    notBeforeDate: new Date(Date.now() - 2 * 86_400_000),
    notAfterDate: isExpired ? new Date(Date.now() - 86_400_000) : inAYear(),
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: name },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
