import { defineProblems, notFoundProblem } from '../../kernel/problem.ts';

export const bookingProblems = defineProblems({
  showingNotFound: notFoundProblem('showing'),
  seatNotFound: notFoundProblem('seat'),
  holdNotFound: notFoundProblem('hold'),
  notFound: notFoundProblem('booking'),
  hallTaken: {
    kind: 'conflict',
    code: 'hall-taken',
    title: 'Hall taken',
    meaning: 'Another showing is in the hall at that time. Choose another time or hall.',
  },
  showingBegun: {
    kind: 'conflict',
    code: 'showing-begun',
    title: 'Showing has begun',
    meaning: 'Seats are held and booked until the showing begins. Choose another showing.',
  },
  seatUnavailable: {
    kind: 'conflict',
    code: 'seat-unavailable',
    title: 'Seat not available',
    meaning: 'Somebody else holds the seat or has booked it. `errors` points to each such seat: choose others.',
  },
  notEnoughSeats: {
    kind: 'conflict',
    code: 'not-enough-seats',
    title: 'Not enough seats',
    meaning: 'There are not so many free seats. Ask for fewer; seats that others hold may become free.',
  },
  customerLimitReached: {
    kind: 'conflict',
    code: 'customer-limit-reached',
    title: 'Limit per customer reached',
    meaning: 'You would hold and have booked more seats than the showing allows a customer (`seatsPerCustomer`).',
  },
  holdBooked: {
    kind: 'conflict',
    code: 'hold-booked',
    title: 'Booked already',
    meaning: 'The seats of the hold have been booked. Read your bookings.',
  },
  notCancellable: {
    kind: 'conflict',
    code: 'booking-not-cancellable',
    title: 'Booking cannot be cancelled',
    meaning: 'The booking has been cancelled, or its showing has begun. Read it again.',
  },
  notChangeable: {
    kind: 'conflict',
    code: 'booking-not-changeable',
    title: 'Booking cannot be changed',
    meaning: 'The booking has been cancelled, or its showing has begun. Read it again.',
  },
  seatCountDiffers: {
    kind: 'invalid',
    code: 'seat-count-differs',
    title: 'Another number of seats',
    meaning: 'Seats are exchanged for as many others. Name as many as the booking has.',
  },
  holdExpired: {
    kind: 'conflict',
    code: 'hold-expired',
    title: 'Hold expired',
    meaning: 'The seats were not booked in time, and others may take them. Hold them again.',
  },
});
