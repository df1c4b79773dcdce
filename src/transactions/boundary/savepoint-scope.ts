import type { FinalPart } from '../wire/final-statement.ts';
import { HookList } from './hook-list.ts';

/** What is going on between the beginning of the transaction or savepoint and its end. */
export class SavepointScope {
  readonly hooks: HookList;
  readonly underWay: string[] = [];
  nested: string | null = null;
  private hasEnded = false;

  /** `final`: what leaves with COMMIT, of a transaction. */
  constructor(
    private readonly outer: SavepointScope | null,
    final: FinalPart[] = [],
  ) {
    this.hooks = new HookList(final);
  }

  get isOver(): boolean {
    return this.hasEnded || (this.outer?.isOver ?? false);
  }

  end(): void {
    this.hasEnded = true;
  }
}
