import { defineConfig } from 'prisma/config';

// Migrations run as the owner of the tables. `npm run prisma` sets the variable to the embedded database when it is
// missing; commands that need no database (generate, validate, format) run without it.
const url = process.env.DATABASE_OWNER_URL;

export default defineConfig({
  schema: 'prisma',
  migrations: { path: 'prisma/migrations' },
  ...(url ? { datasource: { url } } : {}),
});
