import { ConfigModule, registerAs } from '@nestjs/config';
import type { Config } from './config.ts';

type Slice = keyof Config;
const slice = <S extends Slice>(name: S): { readonly KEY: string | symbol } => registerAs(name, () => ({}));

// What a constructor injects: `@Inject(HttpConfig.KEY) config: Config['http']`.
export const HttpConfig = slice('http');
export const DatabaseConfig = slice('database');
export const TransactionsConfig = slice('transactions');
export const RateLimitsConfig = slice('rateLimits');
export const AuthConfig = slice('auth');
export const LedgerConfig = slice('ledger');
export const ShopConfig = slice('shop');
export const PhasedConfig = slice('phased');
export const EventsConfig = slice('events');
export const WebhooksConfig = slice('webhooks');
export const MailConfig = slice('mail');
export const RetentionConfig = slice('retention');

/** The global @nestjs/config module that serves the slices of this config. */
export const configModule = (config: Config) =>
  ConfigModule.forRoot({
    isGlobal: true,
    ignoreEnvFile: true,
    skipProcessEnv: true,
    load: (Object.keys(config) as Slice[]).map((name) => registerAs(name, () => config[name])),
  });
