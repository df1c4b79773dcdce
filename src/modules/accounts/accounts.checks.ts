import { defineChecks } from '../../reconciliation/check.ts';

defineChecks([
  {
    // The first version is the account as it was opened, which no change has left.
    mistake: 'the settings of an account are not those of its last change',
    table: 'account',
    wrong: `
      SELECT a.id::text AS id FROM account a LEFT JOIN account_change c ON c.account_id = a.id AND c.version = a.version
      WHERE CASE a.version
        WHEN 1 THEN c.version IS NULL AND a.overdraft_limit = 0 AND a.max_balance IS NULL AND a.frozen_at IS NULL AND a.closed_at IS NULL
        ELSE (a.name, a.overdraft_limit, a.frozen_at IS NOT NULL, a.closed_at IS NOT NULL) = (c.name, c.overdraft_limit, c.is_frozen, c.is_closed)
          AND a.max_balance IS NOT DISTINCT FROM c.max_balance END IS NOT TRUE`,
  },
]);
