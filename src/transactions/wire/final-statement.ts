import type { Carrier } from './connection.ts';
import { DatabaseError, StaleSessionError } from './errors.ts';
import type { FlightPlan } from './flight-plan.ts';
import { missingIn, type OwnStatement, ownStatement } from './own-statement.ts';
import { isBreak } from './postgres-errors.ts';
import { nameOf } from './statements.ts';
import type { StatementFailure, WireState } from './wire-state.ts';

/**
 * A statement that leaves with COMMIT, at no round trip of its own. Nobody reads what it gives: where it has not done all that it was to do, it
 * calls `refuse_missing()` with the places of what is missing, so that COMMIT stores nothing.
 */
export type FinalStatement = OwnStatement;

/** A final statement has not done all that it was to do. Nothing is stored. */
export class FinalStatementRefusedError extends DatabaseError {
  override readonly name = 'FinalStatementRefusedError';
  constructor(
    readonly statement: FinalStatement,
    /** The places of what is missing. */
    readonly missing: readonly number[],
    cause: unknown,
  ) {
    super('A statement that leaves with COMMIT has not done all that it was to do. Nothing is stored.', { cause });
  }
}

/** `finalStatement('store_key')` followed by the text of the statement as a template. */
export const finalStatement = ownStatement;

/** What many calls of one boundary have to store, and one final statement stores for all of them. */
export interface FinalGroup<T> {
  /** Called before COMMIT, with what was gathered in its order. */
  finalStatement(items: readonly T[]): FinalStatement;
}

/** A final statement, or an item of one that is made at the end. */
export type FinalPart = FinalStatement | { readonly group: FinalGroup<never>; readonly item: unknown };

/** The statements of the parts, each group's where its first item stands. */
export function finalStatementsOf(parts: readonly FinalPart[]): FinalStatement[] {
  const groups = new Map<FinalGroup<never>, unknown[]>();
  const makers = parts.map((part): (() => FinalStatement) | null => {
    if (!('group' in part)) return () => part;
    const items = groups.get(part.group);
    items?.push(part.item);
    if (items !== undefined) return null;
    const gathered = [part.item];
    groups.set(part.group, gathered);
    return () => part.group.finalStatement(gathered as never[]);
  });
  return makers.flatMap((make) => (make === null ? [] : [make()]));
}

/** A final statement was refused: COMMIT has stored nothing, whatever it was answered. */
export interface RefusedFinal {
  readonly state: WireState;
  readonly failure: StatementFailure;
  /** The failure, or FinalStatementRefusedError where the statement says what is missing. */
  readonly error: unknown;
}

/** Sends them before it returns. Gives the first that the server has refused: null where there is none, or that is not known. */
export async function sendFinal(
  statements: readonly FinalStatement[],
  plan: Pick<FlightPlan, 'flightOf' | 'landed'>,
  client: Carrier,
): Promise<RefusedFinal | null> {
  const sent = statements.map(async (statement) => {
    const flight = plan.flightOf({ ...statement }, client);
    try {
      await client.fly(flight);
      return null;
    } catch (error) {
      return refusedBy(statement, error);
    } finally {
      plan.landed(flight);
    }
  });
  return (await Promise.all(sent)).find((one) => one !== null) ?? null;
}

// An answer that breaks the connection may come from between here and the server, and say nothing of either.
function refusedBy(statement: FinalStatement, error: unknown): RefusedFinal | null {
  const isStale = error instanceof StaleSessionError;
  if (!isStale && isBreak(error)) return null;
  const failure = { statement: nameOf(statement.text), error };
  return { state: isStale ? 'lost' : 'rolled-back', failure, error: refusalOf(statement, error) };
}

function refusalOf(statement: FinalStatement, error: unknown): unknown {
  const missing = missingIn(error);
  return missing === null ? error : new FinalStatementRefusedError(statement, missing, error);
}
