import { readFileSync, statSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import { LoggableError } from '../kernel/loggable-error.ts';
import type { TlsDemand } from './url-parameters.ts';

type FileParameter = 'sslrootcert' | 'sslcert' | 'sslkey';
const parameters: readonly FileParameter[] = ['sslrootcert', 'sslcert', 'sslkey'];

/** A file that a URL names cannot be read, or is not what it should be. Names the parameter, never the path. */
class TlsFileError extends LoggableError {
  override readonly name = 'TlsFileError';
}

/**
 * The files of TLS that a URL names. They are read once, and again when they have changed, so that a renewed certificate is taken without
 * a restart. While they cannot be read, or do not fit together, what was read last stays in use.
 */
export class TlsFiles {
  readonly #demand: TlsDemand;
  private context: SecureContext | null = null;
  private readAs = '';

  constructor(demand: TlsDemand) {
    this.#demand = demand;
  }

  /** For a new connection. Throws TlsFileError when nothing usable was ever read. */
  options(): ConnectionOptions {
    const { verify } = this.#demand;
    return {
      secureContext: this.current(),
      ...(verify === 'none' && { rejectUnauthorized: false }),
      ...(verify === 'chain' && { checkServerIdentity: () => undefined }),
    };
  }

  private current(): SecureContext {
    try {
      const marks = this.marks();
      if (this.context === null || marks !== this.readAs) {
        this.context = this.read();
        this.readAs = marks;
      }
    } catch (error) {
      if (this.context === null) throw error;
    }
    return this.context;
  }

  // What changes with the content, also when a link is pointed to another file, as Kubernetes does.
  private marks(): string {
    return parameters.map((name) => this.of(name, markOf)).join();
  }

  private read(): SecureContext {
    const [ca, cert, key] = parameters.map((name) => this.of(name, (path) => readFileSync(path)));
    const { sslpassword, minVersion, maxVersion } = this.#demand;
    try {
      // OpenSSL takes an authority that is none for no authority.
      if (ca) new X509Certificate(ca);
      return createSecureContext({
        ...(ca && { ca }),
        ...(cert && { cert }),
        ...(key && { key }),
        ...(sslpassword !== null && { passphrase: sslpassword }),
        ...(minVersion !== null && { minVersion }),
        ...(maxVersion !== null && { maxVersion }),
      });
    } catch (cause) {
      throw new TlsFileError('names certificates or a key that are none, or do not fit together', { cause });
    }
  }

  private of<T>(name: FileParameter, look: (path: string) => T): T | null {
    const path = this.#demand[name];
    if (path === null) return null;
    try {
      return look(path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new TlsFileError(`names a file in ${name} that cannot be read (${code})`, { cause });
    }
  }
}

function markOf(path: string): string {
  const { mtimeMs, ctimeMs, size, ino } = statSync(path);
  return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

/** Why the files of TLS that a URL names cannot be used now; null when they can. */
export function refusalOfFiles(demand: TlsDemand | null): string | null {
  if (demand === null) return null;
  try {
    new TlsFiles(demand).options();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
