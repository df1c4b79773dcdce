import { Injectable, SetMetadata } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { RouteConfig } from '@nestjs/platform-fastify';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** What a route answers with. */
export interface RouteAnswer {
  readonly view: z.ZodObject;
  /** The path below which what was made is found by its id; null where nothing is made. */
  readonly location: string | null;
}

/** Another status of a route, for bodies that are so. */
export interface OtherStatus {
  readonly status: number;
  readonly isSo: (body: unknown) => boolean;
}

/** What of a route is done before its boundary opens. */
export interface Preparation {
  readonly schema: z.ZodType;
  readonly prepare: (body: unknown) => Promise<unknown>;
}

/** What the hooks of Fastify know of a route, before Nest has looked at it. */
export interface RouteFacts {
  readonly access?: 'public' | 'leaving' | 'signed-in' | 'operator';
  /** The body may be as large as HTTP_BODY_LIMIT_BYTES, because it holds long lists. */
  readonly takesLongBody?: boolean;
  /** The route evaluates If-Match and If-None-Match itself. */
  readonly takesIfMatch?: boolean;
  /** Whether an answer may hold what gives access to something. */
  readonly answersSecrets?: boolean;
  /** Undefined for a route that answers without a body, or as its module wants. */
  readonly answer?: RouteAnswer;
  readonly otherStatus?: OtherStatus;
  readonly preparation?: Preparation;
  /** Whether an Idempotency-Key is obeyed, and demanded. */
  readonly keyNeed?: 'required' | 'optional';
}

const FACTS = Symbol('route facts');
const factsAt = (handler: object): RouteFacts | undefined =>
  Reflect.getMetadata(FACTS, handler) as RouteFacts | undefined;

/** Adds facts to those that other decorators have given to the same handler. */
export const routeFacts = (facts: RouteFacts): MethodDecorator => {
  return (target, name, descriptor) => {
    const all = { ...factsAt(descriptor.value as object), ...facts };
    SetMetadata(FACTS, all)(target, name, descriptor);
    RouteConfig(all)(target, name, descriptor);
  };
};

/** Has the facts of every route reach its requests, also where a `@RouteConfig()` of its module stands before them. */
@Injectable()
export class RouteTable {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  /** To be called before the routes are made. */
  complete(): void {
    for (const { metatype } of this.discovery.getControllers()) {
      const controller = metatype?.prototype as Readonly<Record<string, object>>;
      this.scanner.getAllMethodNames(controller).forEach((name) => keepFacts(controller[name] ?? {}));
    }
  }
}

function keepFacts(handler: object): void {
  const facts = factsAt(handler);
  const config = Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, handler) as object | undefined;
  if (facts !== undefined) Reflect.defineMetadata(FASTIFY_ROUTE_CONFIG_METADATA, { ...config, ...facts }, handler);
}

/** The body of the route holds long lists: it may be as large as HTTP_BODY_LIMIT_BYTES. */
export const TakesLongBody = (): MethodDecorator => routeFacts({ takesLongBody: true });

/** The facts of the route that a request has come to; none where it has come to no route of a controller. */
export const factsOf = ({ routeOptions }: FastifyRequest): RouteFacts => (routeOptions.config ?? {}) as RouteFacts;
