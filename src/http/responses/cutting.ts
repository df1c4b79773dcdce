import { z } from 'zod';

/** Makes of a value what its view shows of it: the members that the view names, in the form that they have on the wire. */
export type Cut = (value: unknown) => unknown;

type View = z.core.$ZodType;
const known = new WeakMap<View, Cut>();

/**
 * Compiles a view into straight code, which gives what `parse` gives, but asks of a text, a number or a moment only whether it is one, and
 * not whether it has the form that the view promises: that is asked of every answer where answers are checked. Whatever else a view is made of
 * is left to `parse`, and so is a value of another type, which is thereby refused.
 */
export function cutOf(view: View): Cut {
  const compiled = known.get(view);
  if (compiled !== undefined) return compiled;
  let cut = parsed(view);
  // For views that hold themselves.
  known.set(view, (value) => cut(value));
  cut = compilerOf(view)(view);
  known.set(view, cut);
  return cut;
}

type Compiler<V extends View> = (view: V) => Cut;
type Kind<V extends View> = abstract new (...args: never[]) => V;
const compilers: (readonly [kind: Kind<View>, compiler: Compiler<View>])[] = [];

function compile<V extends View>(kind: Kind<V>, compiler: Compiler<V>): void {
  compilers.push([kind, compiler as Compiler<View>]);
}

const compilerOf = (view: View): Compiler<View> => compilers.find(([kind]) => view instanceof kind)?.[1] ?? parsed;

const parsed: Compiler<View> = (view) => (value) => z.parse(view, value);

/** As it is, where it is of the type. */
const checked =
  (is: (value: unknown) => boolean): Compiler<View> =>
  (view) =>
  (value) =>
    is(value) ? value : z.parse(view, value);

const isText = (value: unknown): boolean => typeof value === 'string';
compile(z.core.$ZodString, checked(isText));
compile(z.core.$ZodEnum, checked(isText));
compile(z.core.$ZodNumber, checked(Number.isFinite));
compile(
  z.core.$ZodBigInt,
  checked((value) => typeof value === 'bigint'),
);
compile(
  z.core.$ZodBoolean,
  checked((value) => typeof value === 'boolean'),
);
compile(
  z.core.$ZodDate,
  checked((value) => value instanceof Date),
);

compile(z.ZodLiteral, (view) => checked((value) => view.values.has(value as string))(view));

compile(z.ZodNullable, (view) => {
  const cut = cutOf(view.def.innerType);
  return (value) => (value === null ? null : cut(value));
});

compile(z.ZodOptional, (view) => {
  const cut = cutOf(view.def.innerType);
  return (value) => (value === undefined ? undefined : cut(value));
});

compile(z.ZodDefault, (view) => {
  const cut = cutOf(view.def.innerType);
  return (value) => (value === undefined ? view.def.defaultValue : cut(value));
});

compile(z.ZodPipe, (view) => {
  const [into, out] = [cutOf(view.def.in), cutOf(view.def.out)];
  return (value) => out(into(value));
});

// What a transform says is wrong is an issue of its own, and nothing that is shown.
compile(z.ZodTransform, (view) => (value) => {
  const issues: unknown[] = [];
  const shown: unknown = view.def.transform(value, { value, issues } as never);
  return issues.length === 0 && !(shown instanceof Promise) ? shown : z.parse(view, value);
});

compile(z.ZodArray, (view) => {
  const cut = cutOf(view.element);
  return (value) => (Array.isArray(value) ? value.map(cut) : z.parse(view, value));
});

compile(z.ZodObject, (view) => {
  if (view.def.catchall !== undefined) return parsed(view);
  const cuts = Object.entries(view.shape).map(([name, member]) => [name, cutOf(member as View)] as const);
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return z.parse(view, value);
    const shown: Record<string, unknown> = {};
    for (const [name, cut] of cuts) {
      const member = cut((value as Readonly<Record<string, unknown>>)[name]);
      if (member !== undefined) shown[name] = member;
    }
    return shown;
  };
});
