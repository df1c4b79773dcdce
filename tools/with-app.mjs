// For commands that need the service without its port: on the embedded database, or on the one that the environment names.
import { basename } from 'node:path';
import { createApp } from '../dist/src/app.js';
import { sayFailure } from '../dist/src/operations/describe-error.js';
import { provisionBeside } from '../dist/src/provision.js';
import { unitOfWork } from '../dist/src/transactions/unit-of-work.js';

/** @param {string} line */
export const say = (line) => void process.stderr.write(`${line}\n`);

/** @typedef {import('../src/provision.ts').Provision} Provision */
/** @typedef {import('@nestjs/common').INestApplicationContext} App */

/**
 * Runs the work with the application; says in one sentence what went wrong and leaves this exit code.
 * @param {(app: App, provided: Provision) => Promise<void>} work
 * @param {number} failure
 */
export async function withApp(work, failure = 1) {
  process.env.LOG_LEVEL ??= 'warn';
  // Whoever has called it waits for it, and can call it again: it asks the database once, as `npm run reconcile` does.
  process.env.DATABASE_START_WAIT_MS ??= '0';
  // A command does what it is for, and nothing beside it.
  process.env.LEDGER_SEAL_INTERVAL_MS = '0';
  process.env.RETENTION_SWEEP_INTERVAL_MS = '0';
  process.env.EVENT_POLL_INTERVAL_MS = '0';
  process.env.WEBHOOK_POLL_INTERVAL_MS = '0';
  process.env.MAIL_POLL_INTERVAL_MS = '0';
  try {
    const provided = await provisionBeside((line) => say(`  ${line}`));
    try {
      await runIn(await createApp(provided.config), (app) => work(app, provided));
    } finally {
      await provided.stop();
    }
  } catch (error) {
    say(sayFailure(error));
    process.exitCode = failure;
  }
}

/**
 * Closes the application also when it could not be started: an open connection would keep the process for a minute.
 * @param {App & { init(): Promise<unknown> }} app
 * @param {(app: App) => Promise<void>} work
 */
async function runIn(app, work) {
  try {
    await unitOfWork('the start of a command', () => app.init());
    await unitOfWork(basename(process.argv[1] ?? 'a command'), () => work(app));
  } finally {
    await app.close();
  }
}
