import type { TestApp } from './app.ts';
import { type makers, type Person, uuidOf } from './make.ts';

export interface SeatShown {
  readonly id: string;
  readonly row: string;
  readonly number: number;
  readonly status: string;
  readonly version: number;
}

interface ShowingMembers {
  readonly rows?: number[];
  readonly price?: number;
  readonly seatsPerCustomer?: number;
  readonly startsAt?: string;
}

let halls = 0;

/** Showings of an app, and what is done with their seats. */
export function showingsOf(service: TestApp, { operator }: Pick<ReturnType<typeof makers>, 'operator'>) {
  /** A showing in a hall of its own, with rows of so many seats. */
  async function showing({ rows = [6], price = 100, ...members }: ShowingMembers = {}) {
    const { api } = await operator();
    const { body } = await api
      .post('/v1/showings', {
        title: 'The Tempest',
        hall: `Hall ${++halls}`,
        startsAt: '2090-05-01T20:00:00Z',
        endsAt: '2090-05-01T22:00:00Z',
        price: { amount: price, currency: 'EUR' },
        rows: rows.map((seats, n) => ({ row: String.fromCharCode(65 + n), seats })),
        ...members,
      })
      .expect(201);
    return body as { id: string; seatCount: number };
  }

  const seatsOf = async (showingId: string): Promise<SeatShown[]> =>
    (await service.as().get(`/v1/showings/${showingId}/seats?limit=100`).expect(200)).body.data;
  const statesOf = async (showingId: string): Promise<string[]> =>
    (await seatsOf(showingId)).map(({ status }) => status);

  const hold = (by: Person, showingId: string, seatIds: readonly string[], seconds = 600) =>
    by.api.post(`/v1/showings/${showingId}/holds`, { seatIds, seconds });
  const holdBest = (by: Person, showingId: string, count: number, seconds = 600) =>
    by.api.post(`/v1/showings/${showingId}/best-available-holds`, { count, seconds });

  const book = (by: Person, holdId: string, accountId = by.accountId) =>
    by.api.post('/v1/bookings', { holdId, payment: { accountId } });
  /** Seats that somebody has booked; gives the booking as the API shows it. */
  async function booked(by: Person, showingId: string, count: number) {
    const { body: held } = await holdBest(by, showingId, count).expect(201);
    return (await book(by, held.id).expect(201)).body as { id: string; seats: { seatId: string }[]; version: number };
  }
  const exchange = (by: Person, bookingId: string, seatIds: readonly string[], etag = '*') =>
    by.api.patch(`/v1/bookings/${bookingId}`, { seatIds }).set('if-match', etag);
  const cancel = (by: Person, bookingId: string) => by.api.post(`/v1/bookings/${bookingId}/cancel`);

  /** Has a hold end by now, as if its time had passed. */
  async function expire(
    holdId: string,
    { query }: Pick<TestApp['database'], 'query'> = service.database,
  ): Promise<void> {
    await query(
      `UPDATE seat_hold SET created_at = statement_timestamp() - interval '1 minute', expires_at = statement_timestamp() - interval '1 second'
       WHERE id = '${uuidOf(holdId)}'`,
    );
  }

  return { showing, seatsOf, statesOf, hold, holdBest, expire, book, booked, exchange, cancel };
}
