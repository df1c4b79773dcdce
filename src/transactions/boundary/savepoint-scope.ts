import { HookList } from './hook-list.ts';

/** What is going on between the beginning of the transaction or savepoint and its end. */
export class SavepointScope {
  readonly hooks = new HookList();
  readonly underWay: string[] = [];
  nested: string | null = null;
  private hasEnded = false;

  constructor(private readonly outer: SavepointScope | null) {}

  get isOver(): boolean {
    return this.hasEnded || (this.outer?.isOver ?? false);
  }

  end(): void {
    this.hasEnded = true;
  }
}
