// npm run db:seed: adds the demo data to the embedded database, or to the one that DATABASE_WRITE_URL names. Adds nothing twice.
import { createApp } from '../dist/src/app.js';
import { provisionBeside } from '../dist/src/provision.js';
import { seed } from '../dist/prisma/seed.js';

const say = (/** @type {string} */ line) => process.stderr.write(`${line}\n`);
process.env.LOG_LEVEL ??= 'warn';

try {
  const provided = await provisionBeside((line) => say(`  ${line}`));
  try {
    const app = await createApp(provided.config);
    await app.init();
    say((await seed(app)) ? 'The demo data was added.' : 'The demo data is there already.');
    await app.close();
  } finally {
    await provided.stop();
  }
} catch (error) {
  say(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}
