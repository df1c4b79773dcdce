import type { NestInterceptor, Type } from '@nestjs/common';
import { INTERCEPTORS_METADATA } from '@nestjs/common/constants.js';

/** As `UseInterceptors`, but around those that its module gives to the same handler, in whichever order they are written. */
export const outermost = (interceptor: Type<NestInterceptor> | NestInterceptor): MethodDecorator => {
  return (_target, _name, descriptor) => {
    const handler = descriptor.value as object;
    const others = (Reflect.getMetadata(INTERCEPTORS_METADATA, handler) ?? []) as readonly object[];
    Reflect.defineMetadata(INTERCEPTORS_METADATA, [interceptor, ...others], handler);
  };
};
