import pg from 'pg';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** What pg_stat_activity calls the connection: `holdfast write`, `holdfast read`, or '' for one of the test's own. */
  readonly connection: string;
}

/** Writes down every statement that any client of pg in this process sends, until `stop`. Statements of the service only are told. */
export function recordStatements() {
  const original = pg.Client.prototype.query as (...given: unknown[]) => unknown;
  const recorded: Statement[] = [];
  pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
    const [first, second] = given;
    const { text, values } = typeof first === 'string' ? { text: first, values: second } : (first as pg.QueryConfig);
    const name = (this as unknown as { connectionParameters: { application_name?: string } }).connectionParameters
      .application_name;
    if (name?.startsWith('holdfast '))
      recorded.push({ text, values: Array.isArray(values) ? (values as unknown[]) : [], connection: name });
    return original.apply(this, given);
  } as typeof pg.Client.prototype.query;
  return {
    /** What came since the last call. */
    take: (): Statement[] => recorded.splice(0),
    stop: (): void => {
      pg.Client.prototype.query = original as typeof pg.Client.prototype.query;
    },
  };
}
