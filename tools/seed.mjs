// npm run db:seed: adds the demo data. Adds nothing twice.
import { seed } from '../dist/prisma/seed.js';
import { say, withApp } from './with-app.mjs';

await withApp(async (app) => {
  say((await seed(app)) ? 'The demo data was added.' : 'The demo data is there already.');
});
