import type { Cases } from '../support/cases.ts';

export const cases: Cases = {
  tables: {
    account: 'stays',
    transfer: 'stays',
    settlement: 'stays',
    entry: 'stays',
    reservation: 'removed when its transfer is settled, or has expired and the room is needed',
    reservation_total: 'one for each account',
  },
  rights: {
    account: 'INSERT, UPDATE',
    transfer: 'INSERT',
    settlement: 'INSERT',
    entry: 'INSERT',
    reservation: 'INSERT, DELETE',
    // Written by triggers.
    reservation_total: '',
  },
};
