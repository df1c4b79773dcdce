import { z } from 'zod';
import { readDatabaseUrl } from './database-url.ts';
import { replicasIn } from './replicas.ts';
import { refusalOfFiles } from './tls-files.ts';

/** The URL of a database, with all its parameters and files. */
export const postgresUrl = z.string().superRefine((url, context) => refuse(refusalsOf(url), context));

function refuse(refusals: readonly string[], context: z.core.$RefinementCtx): void {
  for (const message of refusals) context.addIssue({ code: 'custom', message });
}

/** Why this URL cannot be used on this machine: a reason for each fault, without the name of its variable. */
export function refusalsOf(url: string): readonly string[] {
  const read = readDatabaseUrl(url);
  if ('refusals' in read) return read.refusals;
  const file = refusalOfFiles(read.address.tls);
  return file === null ? [] : [file];
}

/** Those of the replicas. */
export const replicaUrls = z.string().superRefine((text, context) => {
  const replicas = replicasIn(text);
  if (replicas === null) return refuse([formOfReplicas], context);
  refuse([...new Set(replicas.flatMap(({ url }) => refusalsOf(url)))], context);
});
const formOfReplicas =
  'must be one or more URLs like postgresql://user:password@host:5432/database, each alone or behind a name of its own and =';
