// npm run redeliver -- <event id> [consumer]: has an event delivered again, to the consumer or to those that have not done it. The running
// service does it. Exit code 0: it is going to be; 1: there is no such event or consumer, or nothing to do.
import { readId } from '../dist/src/kernel/ids.js';
import { EventId } from '../dist/src/modules/events/events.schema.js';
import { RedeliveriesService } from '../dist/src/modules/events/redeliveries.service.js';
import { say, withApp } from './with-app.mjs';

const [id = '', consumer = null] = process.argv.slice(2);

if (EventId.safeParse(id).success) {
  await withApp(async (app) => {
    const { consumers } = await app.get(RedeliveriesService).redeliver(readId(id), consumer);
    say(`${id} is delivered again to ${consumers.join(', ')}.`);
  });
} else {
  say('Usage: npm run redeliver -- <event id> [consumer], the id as GET /v1/events shows it: evt_ and 26 characters.');
  process.exitCode = 1;
}
