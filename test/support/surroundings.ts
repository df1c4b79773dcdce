import { PlainClient } from '../../src/transactions/wire/plain-client.ts';

/** What the session of a connection beside the pools is, made while the environment has these variables. */
export async function runningClient(url: string, variables: Record<string, string>) {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  const client = new PlainClient(url);
  try {
    await client.connect();
    const { rows } = await client.query<{ searchPath: string; statementTimeout: string; applicationName: string }>(
      `SELECT current_setting('search_path') AS "searchPath", current_setting('statement_timeout') AS "statementTimeout",
         current_setting('application_name') AS "applicationName"`,
    );
    return rows[0];
  } finally {
    for (const name of Object.keys(variables)) if (!(name in before)) Reflect.deleteProperty(process.env, name);
    await client.end();
  }
}
