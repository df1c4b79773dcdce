import { type DynamicModule, Module, type Type } from '@nestjs/common';
import type { Config } from './config/config.ts';
import { configModule } from './config/slices.ts';
import { EventsModule } from './events/events.module.ts';
import { HttpModule } from './http/http.module.ts';
import { AccessModule } from './modules/access/access.module.ts';
import { AccountsModule } from './modules/accounts/accounts.module.ts';
import { AuditModule } from './modules/audit/audit.module.ts';
import { BookingsModule } from './modules/bookings/bookings.module.ts';
import { CatalogModule } from './modules/catalog/catalog.module.ts';
import { EventFeedModule } from './modules/events/events.module.ts';
import { MailsModule } from './modules/mails/mails.module.ts';
import { OrdersModule } from './modules/orders/orders.module.ts';
import { PasswordsModule } from './modules/passwords/passwords.module.ts';
import { SessionsModule } from './modules/sessions/sessions.module.ts';
import { TransfersModule } from './modules/transfers/transfers.module.ts';
import { UsersModule } from './modules/users/users.module.ts';
import { WebhooksModule } from './modules/webhooks/webhooks.module.ts';
import { logModule } from './operations/log.ts';
import { OperationsModule } from './operations/operations.module.ts';
import { PhasedModule } from './phased/phased.module.ts';
import { RetentionModule } from './retention/retention.module.ts';
import { TransactionsModule } from './transactions/transactions.module.ts';

@Module({})
export class AppModule {
  /** The service; `more` are modules of a team's own beside it. */
  static with(config: Config, more: readonly Type[] = []): DynamicModule {
    return {
      module: AppModule,
      imports: [
        configModule(config),
        logModule(config.log),
        TransactionsModule,
        HttpModule,
        PhasedModule,
        EventsModule,
        OperationsModule,
        RetentionModule,
        UsersModule,
        AccessModule,
        PasswordsModule,
        SessionsModule,
        AccountsModule,
        TransfersModule,
        AuditModule,
        CatalogModule,
        MailsModule,
        OrdersModule,
        BookingsModule,
        EventFeedModule,
        WebhooksModule,
        ...more,
      ],
    };
  }
}
