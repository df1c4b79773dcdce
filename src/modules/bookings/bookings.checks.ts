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
    table: 'showing',
    wrong: `
      SELECT had.showing_id || ' ' || had.user_id AS id FROM (
        SELECT h.showing_id, h.user_id, s.id FROM seat_hold h JOIN seat s ON s.hold_id = h.id AND s.held_until > statement_timestamp()
        UNION ALL SELECT b.showing_id, b.user_id, s.id FROM booking b JOIN seat s ON s.booking_id = b.id) had
      JOIN showing w ON w.id = had.showing_id
      GROUP BY had.showing_id, had.user_id, w.seats_per_customer HAVING count(*) > w.seats_per_customer`,
  },
  {
    mistake: 'a booking is not what its transfer moved, or what its seats cost',
    table: 'booking',
    wrong: `
      SELECT b.id::text AS id FROM booking b LEFT JOIN transfer t ON t.id = b.transfer_id LEFT JOIN showing w ON w.id = b.showing_id
      WHERE (t.kind = 'payment' AND t.amount = b.amount AND t.currency = b.currency AND t.from_account_id = b.account_id
        AND b.amount = b.seat_count * w.price AND NOT EXISTS (SELECT FROM payment p WHERE p.transfer_id = t.id)) IS NOT TRUE`,
  },
  {
    mistake: 'a cancelled booking is not refunded, or one that holds is',
    table: 'booking',
    wrong: `
      SELECT b.id::text AS id FROM booking b LEFT JOIN transfer t ON t.id = b.refund_transfer_id
      WHERE (CASE b.status
        WHEN 'cancelled' THEN t.kind = 'refund' AND t.amount = b.amount AND t.to_account_id = b.account_id
          AND NOT EXISTS (SELECT FROM refund r WHERE r.transfer_id = t.id)
        ELSE b.refund_transfer_id IS NULL END) IS NOT TRUE`,
  },
  {
    mistake: 'a booking has not the seats that it names, or a cancelled one has some',
    table: 'booking',
    wrong: `
      SELECT b.id::text AS id FROM booking b
      WHERE b.seat_count <> (SELECT count(*) FROM booking_seat n WHERE n.booking_id = b.id)
        OR CASE b.status WHEN 'booked' THEN b.seat_count ELSE 0 END <> (
          SELECT count(*) FROM seat s JOIN booking_seat n ON n.seat_id = s.id AND n.booking_id = s.booking_id
          WHERE s.booking_id = b.id AND s.showing_id = b.showing_id)`,
  },
  {
    mistake: 'an event tells of a booking that is not there, or is not as it says',
    table: 'event',
    wrong: `
      SELECT e.id::text AS id FROM event e LEFT JOIN booking b ON b.id = e.subject_id
      WHERE e.type LIKE 'booking.%' AND (b.id IS NULL OR e.type = 'booking.cancelled' AND b.status <> 'cancelled')`,
  },
]);
