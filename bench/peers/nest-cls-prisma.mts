// The stock stack, as the official pages write it: Nest, nestjs-cls with its Prisma adapter, and interactive transactions by @Transactional().
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import {
  Body,
  ConflictException,
  Controller,
  Headers,
  Inject,
  Injectable,
  NotFoundException,
  Post,
  StandardSchemaValidationPipe,
  UnprocessableEntityException,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  ClsPluginTransactional,
  Transactional,
  type TransactionalAdapter,
  TransactionHost,
} from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { PrismaPg } from '@prisma/adapter-pg';
import { ClsModule } from 'nestjs-cls';
import { z } from 'zod';
import { decorateClass, decorateMethod, decorateParameters, moduleOf } from './by-hand.mts';
import { house, type NewOrder, type NewTransfer, sayReady } from './peer.mts';

/** What is used of the client, which the bench generates. */
interface Client {
  readonly account: Changes;
  readonly transfer: Inserts;
  readonly entry: Inserts;
  readonly idempotency: Inserts & Changes;
  readonly event: Inserts;
  readonly sku: {
    updateManyAndReturn(given: Written & { select: Record<string, true> }): Promise<{ price: bigint }[]>;
  };
  readonly order: Inserts;
  readonly orderLine: Inserts;
  readonly payment: Inserts;
  $queryRaw(text: TemplateStringsArray, ...values: unknown[]): Promise<{ id: string; balance: bigint }[]>;
}
interface Written {
  readonly where: Record<string, unknown>;
  readonly data: Record<string, unknown>;
}
interface Inserts {
  createMany(given: { data: Record<string, unknown> | Record<string, unknown>[] }): Promise<unknown>;
}
interface Changes {
  updateMany(given: Written): Promise<unknown>;
}
interface Host {
  readonly tx: Client;
}
type PrismaClient = new (options: Record<string, unknown>) => object;

const version = { increment: 1 };

class Records {
  readonly host: Host;
  constructor(host: Host) {
    this.host = host;
  }

  async claim(principal: string, key: string): Promise<void> {
    await this.host.tx.idempotency.createMany({ data: { principal, key } }).catch((error: unknown) => {
      if ((error as { code?: string }).code === 'P2002') throw new ConflictException('The key was used already');
      throw error;
    });
  }

  async answer(principal: string, key: string, response: object): Promise<void> {
    await this.host.tx.idempotency.updateMany({ where: { principal, key }, data: { status: 201, response } });
  }

  async publish(topic: string, payload: object): Promise<void> {
    await this.host.tx.event.createMany({ data: { topic, payload } });
  }
}
decorateClass(Records, Injectable(), Inject(TransactionHost));

class Transfers {
  readonly host: Host;
  readonly records: Records;
  constructor(host: Host, records: Records) {
    this.host = host;
    this.records = records;
  }

  async create(principal: string, key: string, { from, to, amount }: NewTransfer): Promise<{ id: string }> {
    await this.records.claim(principal, key);
    const id = await this.move({ from, to, amount });
    await this.records.publish('transfer.made', { id, from, to, amount });
    await this.records.answer(principal, key, { id });
    return { id };
  }

  async move({ from, to, amount }: NewTransfer): Promise<string> {
    const { tx } = this.host;
    const locked = await tx.$queryRaw`
      SELECT id, balance FROM account WHERE id IN (${from}::uuid, ${to}::uuid) ORDER BY id FOR NO KEY UPDATE`;
    const [payer, payee] = [locked.find((row) => row.id === from), locked.find((row) => row.id === to)];
    if (payer === undefined || payee === undefined) throw new NotFoundException('No such account');
    if (payer.balance < amount) throw new UnprocessableEntityException('Insufficient funds');
    const id = randomUUID();
    await tx.account.updateMany({ where: { id: from }, data: { balance: { decrement: amount }, version } });
    await tx.account.updateMany({ where: { id: to }, data: { balance: { increment: amount }, version } });
    await tx.transfer.createMany({ data: { id, fromId: from, toId: to, amount } });
    await tx.entry.createMany({
      data: [
        { transferId: id, accountId: from, amount: -amount, balanceAfter: payer.balance - BigInt(amount) },
        { transferId: id, accountId: to, amount, balanceAfter: payee.balance + BigInt(amount) },
      ],
    });
    return id;
  }
}
decorateClass(Transfers, Injectable(), Inject(TransactionHost), Inject(Records));
decorateMethod(Transfers, 'create', Transactional());
decorateMethod(Transfers, 'move', Transactional());

class Orders {
  readonly host: Host;
  readonly transfers: Transfers;
  readonly records: Records;
  constructor(host: Host, transfers: Transfers, records: Records) {
    this.host = host;
    this.transfers = transfers;
    this.records = records;
  }

  async place(principal: string, key: string, { accountId, lines }: NewOrder): Promise<{ id: string }> {
    const { tx } = this.host;
    await this.records.claim(principal, key);
    const id = randomUUID();
    const rows: { unitPrice: number; quantity: number }[] = [];
    for (const [n, { skuId, quantity }] of lines.toSorted((a, b) => (a.skuId < b.skuId ? -1 : 1)).entries()) {
      const [taken] = await tx.sku.updateManyAndReturn({
        where: { id: skuId, stock: { gte: quantity } },
        data: { stock: { decrement: quantity }, version },
        select: { price: true },
      });
      if (taken === undefined) throw new ConflictException('The stock is short');
      rows.push({ ...{ orderId: id, lineNo: n + 1, skuId }, quantity, unitPrice: Number(taken.price) });
    }
    const total = rows.reduce((sum, { unitPrice, quantity }) => sum + unitPrice * quantity, 0);
    await tx.order.createMany({ data: { id, accountId, total, status: 'placed' } });
    await tx.orderLine.createMany({ data: rows });
    const transferId = await this.transfers.move({ from: accountId, to: house, amount: total });
    await tx.payment.createMany({ data: { id: randomUUID(), orderId: id, transferId, amount: total } });
    await this.records.publish('order.placed', { id, accountId, total });
    await this.records.answer(principal, key, { id });
    return { id };
  }
}
decorateClass(Orders, Injectable(), Inject(TransactionHost), Inject(Transfers), Inject(Records));
decorateMethod(Orders, 'place', Transactional());

const TransferBody = z.object({ from: z.uuid(), to: z.uuid(), amount: z.int().min(1) });
const Line = z.object({ skuId: z.uuid(), quantity: z.int().min(1).max(1000) });
const OrderBody = z.object({ accountId: z.uuid(), lines: z.array(Line).min(1).max(100) });

class TransfersController {
  readonly transfers: Transfers;
  constructor(transfers: Transfers) {
    this.transfers = transfers;
  }
  create(key: string, principal: string, body: NewTransfer) {
    return this.transfers.create(principal, key, body);
  }
}
decorateClass(TransfersController, Controller('v1/transfers'), Inject(Transfers));
decorateMethod(TransfersController, 'create', Post());
const given = [Headers('idempotency-key'), Headers('x-principal')] as const;
decorateParameters(TransfersController, 'create', ...given, Body({ schema: TransferBody }));

class OrdersController {
  readonly orders: Orders;
  constructor(orders: Orders) {
    this.orders = orders;
  }
  place(key: string, principal: string, body: NewOrder) {
    return this.orders.place(principal, key, body);
  }
}
decorateClass(OrdersController, Controller('v1/orders'), Inject(Orders));
decorateMethod(OrdersController, 'place', Post());
decorateParameters(OrdersController, 'place', ...given, Body({ schema: OrderBody }));

const [url] = process.argv.slice(2);
const generated = new URL('../../dist/bench/client/client.ts', import.meta.url).href;
const { PrismaClient } = (await import(generated)) as { PrismaClient: PrismaClient };
const prisma = new PrismaClient({
  adapter: new PrismaPg({ connectionString: url, max: Number(process.env['POOL_SIZE'] ?? 16) }),
  transactionOptions: { maxWait: 10_000, timeout: 20_000 },
});
const PrismaModule = moduleOf({ providers: [{ provide: 'prisma', useValue: prisma }], exports: ['prisma'] });
const adapter = new TransactionalAdapterPrisma({
  prismaInjectionToken: 'prisma',
}) as unknown as TransactionalAdapter<unknown, unknown, unknown>;
const plugin = new ClsPluginTransactional({ imports: [PrismaModule], adapter });
const AppModule = moduleOf({
  imports: [ClsModule.forRoot({ global: true, middleware: { mount: true }, plugins: [plugin] })],
  controllers: [TransfersController, OrdersController],
  providers: [Records, Transfers, Orders],
});
const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error'] });
app.useGlobalPipes(new StandardSchemaValidationPipe());
await app.listen(0, '127.0.0.1');
await sayReady(await app.getUrl());
