import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { Config } from '../../config/config.ts';
import { DatabaseConfig } from '../../config/slices.ts';
import { BoundaryTableError } from '../errors.ts';
import { DATABASE } from '../tables.ts';
import { boundariesOf, type DrawnBoundary } from '../transactional.ts';
import { defaultRetries } from '../transactions.ts';
import { contradictionsOf, type PlacedBoundary } from './checks.ts';
import { type AnyOptions, type Duration, milliseconds, type Propagation } from './options.ts';

type Provider = ReturnType<DiscoveryService['getProviders']>[number];

const columns = ['method', 'name', 'client', 'propagation', 'level', 'access', 'timeout', 'lock timeout', 'retry'];
type Row = readonly string[];

/** Every boundary that `@Transactional()` draws in this application. A service whose boundaries contradict themselves does not start. */
@Injectable()
export class BoundaryTable implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {}

  /** Throws BoundaryTableError with all contradictions. */
  onModuleInit(): void {
    const contradictions = this.contradictions();
    if (contradictions.length > 0) throw new BoundaryTableError(contradictions);
  }

  /** What is wrong, and what to do; one line each. */
  contradictions(): string[] {
    return contradictionsOf(this.boundaries(), this.config);
  }

  /** The table as text: headings, and a line for each boundary, sorted by method. */
  describe(): string {
    const rows = this.boundaries().map((boundary) => this.row(boundary));
    const lines = [columns, ...rows.sort(([one = ''], [other = '']) => (one < other ? -1 : 1))];
    const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
    return lines
      .map((line) =>
        line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  }

  private boundaries(): PlacedBoundary[] {
    const placed = new Map<DrawnBoundary, PlacedBoundary>();
    for (const provider of [...this.discovery.getProviders(), ...this.discovery.getControllers()])
      for (const drawn of boundariesOf(prototypeOf(provider))) {
        // The same class may be provided in two modules, and inherited by two.
        const writer = placed.get(drawn)?.writer ?? writerOf(provider);
        placed.set(drawn, { ...drawn, writer });
      }
    return [...placed.values()];
  }

  private row({ method, options }: PlacedBoundary): Row {
    const { name, propagation = 'required' } = options;
    return [method, name === method ? '' : name, clientOf(options), propagation, ...this.terms(propagation, options)];
  }

  // Without a transaction there are none; one that joins has those of the running one, unless it demands its own.
  private terms(propagation: Propagation, options: AnyOptions): Row {
    if (withoutTerms.has(propagation)) return ['-', '-', '-', '-', '-'];
    const { isolation = 'read-committed', readOnly = false } = options;
    const terms = [isolation, readOnly ? 'read' : 'write'];
    if (propagation === 'mandatory') return [...terms, showMs(options.timeout), showMs(options.lockTimeout), '-'];
    const { timeout = this.config.transactionTimeoutMs, lockTimeout = this.config.lockTimeoutMs } = options;
    return [...terms, showMs(timeout), showMs(lockTimeout), String(options.retry ?? defaultRetries)];
  }
}

const withoutTerms: ReadonlySet<Propagation> = new Set(['supports', 'not-supported', 'never']);
const showMs = (duration?: Duration): string => (duration === undefined ? '-' : `${milliseconds(duration)} ms`);

// A standby has no SERIALIZABLE.
function clientOf({ propagation = 'required', readOnly, isolation }: AnyOptions): string {
  if (['supports', 'mandatory'].includes(propagation)) return 'the running';
  if (['not-supported', 'never'].includes(propagation)) return 'none';
  return readOnly === true && isolation !== 'serializable' ? 'replica' : 'primary';
}

function prototypeOf({ instance, metatype }: Provider): object | null {
  const made: unknown = instance;
  if (typeof made === 'object' && made !== null) return Object.getPrototypeOf(made) as object | null;
  return (metatype?.prototype ?? null) as object | null;
}

/** What the class owns that is given the client which writes, or the class itself when it is; null when there is nothing. */
function writerOf(provider: Provider): string | null {
  const owned = dependenciesOf(provider);
  if (owned.some(({ token }) => token === DATABASE)) return 'the database itself';
  const writer = owned.find((one) => dependenciesOf(one).some(({ token }) => token === DATABASE));
  return writer === undefined ? null : String(writer.name);
}

const dependenciesOf = (provider: Provider): Provider[] => [
  ...(provider.getCtorMetadata() ?? []),
  ...(provider.getPropertiesMetadata() ?? []).map(({ wrapper }) => wrapper),
];
