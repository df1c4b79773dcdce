import { defineChecks } from '../reconciliation/check.ts';

defineChecks([
  {
    mistake: 'a delivery is of an event that is not there',
    table: 'event_delivery',
    wrong: `
      SELECT d.consumer || ' ' || d.position AS id FROM event_delivery d LEFT JOIN event e ON e.position = d.position
      WHERE e.position IS NULL`,
  },
  {
    mistake: 'a consumer is ahead of the horizon',
    table: 'event_consumer',
    wrong: `SELECT c.name AS id FROM event_consumer c, event_horizon h WHERE c.position > h.position`,
  },
]);
