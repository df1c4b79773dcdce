// Nest's decorators as functions: Node runs these files as they are, and knows no decorators.
import { type ModuleMetadata, Module } from '@nestjs/common';

type Class = abstract new (...given: never[]) => object;

/** `@decorators` on a method. */
export function decorateMethod(of: Class, name: string, ...decorators: MethodDecorator[]): void {
  const prototype = of.prototype as object;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
  for (const decorate of decorators.toReversed())
    decorate(prototype, name, descriptor as TypedPropertyDescriptor<never>);
  Object.defineProperty(prototype, name, descriptor);
}

/** `@decorators` on the parameters of a method, in their order. */
export function decorateParameters(of: Class, name: string, ...decorators: ParameterDecorator[]): void {
  for (const [n, decorate] of decorators.entries()) decorate(of.prototype as object, name, n);
}

/** `@decorators` on a class, and on the parameters of its constructor, in their order. */
export function decorateClass(of: Class, decorator: ClassDecorator, ...given: ParameterDecorator[]): void {
  for (const [n, decorate] of given.entries()) decorate(of, undefined, n);
  decorator(of as unknown as () => void);
}

export function moduleOf(metadata: ModuleMetadata): new () => object {
  class Made {
    readonly of = metadata;
  }
  decorateClass(Made, Module(metadata));
  return Made;
}
