/**
 * Three times what the service has by default: on a busy machine what takes a second takes several. A test of a time limit sets it.
 */
export const patientLimits = {
  DATABASE_LOCK_TIMEOUT_MS: '15000',
  DATABASE_STATEMENT_TIMEOUT_MS: '30000',
  DATABASE_TRANSACTION_TIMEOUT_MS: '30000',
  DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS: '15000',
  DATABASE_POOL_WAIT_MS: '6000',
} as const;
