-- Whether this database has ever been used for payments, canaries apart.
SELECT EXISTS (SELECT FROM idempotency_key WHERE key IS NULL OR key NOT LIKE 'canary-%')
