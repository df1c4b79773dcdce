// For commands that need the service without its port: on the embedded database, or on the one that the environment names.
import { createApp } from '../dist/src/app.js';
import { provisionBeside } from '../dist/src/provision.js';

/** @param {string} line */
export const say = (line) => void process.stderr.write(`${line}\n`);

/**
 * Runs the work with the application; says in one sentence what went wrong and leaves the exit code at 1.
 * @param {(app: import('@nestjs/common').INestApplicationContext) => Promise<void>} work
 */
export async function withApp(work) {
  process.env.LOG_LEVEL ??= 'warn';
  try {
    const provided = await provisionBeside((line) => say(`  ${line}`));
    try {
      const app = await createApp(provided.config);
      await app.init();
      await work(app).finally(() => app.close());
    } finally {
      await provided.stop();
    }
  } catch (error) {
    say(/** @type {Error} */ (error).message);
    process.exitCode = 1;
  }
}
