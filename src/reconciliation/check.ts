/** One thing that must be true of the books. */
export interface Check {
  /** What a finding is called: for people, and for tests, which look for it by name. Never changed without need. */
  readonly mistake: string;
  /** The table whose rows are looked at. */
  readonly table: string;
  /** A statement that gives the `id` of every row that breaks it, as text. */
  readonly wrong: string;
}
