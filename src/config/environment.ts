import { z } from 'zod';
import { LoggableError } from '../kernel/loggable-error.ts';
import { brokenRules } from './rules.ts';
import { variables } from './variables.ts';

export const Environment = z.object(variables);
export type Environment = z.infer<typeof Environment>;

/** Every reason why the environment cannot be used, at once. */
export class ConfigError extends LoggableError {
  constructor(reasons: readonly string[]) {
    const [first = ''] = reasons;
    // A reason that is a whole sentence stands well alone; one that begins with a variable's name does not.
    const isSentence = reasons.length === 1 && /^[A-Z][a-z]/.test(first);
    const title = `The configuration has ${reasons.length === 1 ? 'an error' : `${reasons.length} errors`}:`;
    super(isSentence ? first : [title, ...reasons.map((reason) => `  ${reason}`)].join('\n'));
    this.name = 'ConfigError';
  }
}

type Env = Readonly<Record<string, string | undefined>>;

/** Parses the environment. An empty variable counts as absent. Throws {@link ConfigError}, which never repeats a value. */
export function readEnvironment(env: Env): Environment {
  const { environment, reasons } = examineEnvironment(env);
  if (environment === null) throw new ConfigError(reasons);
  return environment;
}

/** The same without throwing: null with every reason why it cannot be used. Also what holds between two variables when a third is wrong. */
export function examineEnvironment(env: Env): { environment: Environment | null; reasons: string[] } {
  const given = Object.fromEntries(Object.entries(env).filter(([name, value]) => name in variables && value !== ''));
  const result = Environment.safeParse(given);
  const wrong = (result.error?.issues ?? []).map((issue) => `${issue.path.join('.')} ${reason(issue)}`);
  const reasons = [...wrong, ...brokenRules(given, env)];
  return { environment: result.success && reasons.length === 0 ? result.data : null, reasons };
}

/** What this variable says by itself: its default when it is absent, undefined when it is wrong. */
export function valueOf<Name extends keyof Environment>(name: Name, env: Env): Environment[Name] | undefined {
  return (variables[name] as unknown as z.ZodType<Environment[Name]>).safeParse(env[name] || undefined).data;
}

function reason(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`;
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`;
  if (issue.code === 'invalid_type')
    return ['int', 'number'].includes(issue.expected)
      ? 'must be a whole number, in digits alone'
      : `must be a ${issue.expected}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`;
  return issue.message;
}

/** The rows of the configuration table: name, default, meaning. */
export function describeVariables(): { name: string; fallback: string; meaning: string }[] {
  return Object.entries(variables).map(([name, schema]) => {
    const fallback = (schema as z.ZodType<string | number | undefined>).safeParse(undefined).data;
    return { name, fallback: fallback === undefined ? '' : String(fallback), meaning: schema.description ?? '' };
  });
}
