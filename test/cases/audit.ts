import type { Cases } from '../support/cases.ts';

export const cases: Cases = {
  tables: { chain_link: 'stays' },
  rights: { chain_link: 'INSERT' },
};
