import { defineChecks } from '../../reconciliation/check.ts';

defineChecks([
  {
    mistake: 'a showing has not the seats that it says',
    table: 'showing',
    wrong: `
      SELECT w.id::text AS id FROM showing w LEFT JOIN (SELECT showing_id, count(*) AS n FROM seat GROUP BY showing_id) s ON s.showing_id = w.id
      WHERE w.seat_count IS DISTINCT FROM s.n`,
  },
  {
    mistake: 'two showings are in one hall at a time',
    table: 'showing',
    wrong: `
      SELECT a.id || ' ' || b.id AS id FROM showing a JOIN showing b ON b.hall = a.hall AND b.id > a.id
      WHERE a.starts_at < b.ends_at AND b.starts_at < a.ends_at`,
  },
  {
    mistake: 'a live hold has not the seats that it says, or of another showing',
    table: 'seat_hold',
    wrong: `
      SELECT h.id::text AS id FROM seat_hold h
      LEFT JOIN seat s ON s.hold_id = h.id AND s.held_until = h.expires_at AND s.showing_id = h.showing_id
      WHERE h.expires_at > statement_timestamp() GROUP BY h.id HAVING count(s.id) <> h.seat_count`,
  },
  {
    mistake: 'a customer has more seats than the showing allows',
    table: 'seat_hold',
    wrong: `
      SELECT h.showing_id || ' ' || h.user_id AS id FROM seat_hold h
      JOIN showing w ON w.id = h.showing_id JOIN seat s ON s.hold_id = h.id AND s.held_until > statement_timestamp()
      GROUP BY h.showing_id, h.user_id, w.seats_per_customer HAVING count(*) > w.seats_per_customer`,
  },
]);
