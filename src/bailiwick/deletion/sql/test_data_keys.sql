-- Forget the texts of keys that were refused in a merchant's test mode, page by page of all keys: that they
-- were refused stays, since they may have been taken elsewhere. The last of the page; none: there is no more.
-- $1: the merchant, $2: after this identity, $3: how many.
WITH page AS MATERIALIZED (
    SELECT identity FROM idempotency_key WHERE identity > $2 ORDER BY identity LIMIT $3
), blanked AS (
    UPDATE idempotency_key k SET key = NULL
      FROM page p
     WHERE k.identity = p.identity AND k.merchant = $1 AND NOT k.livemode
       AND k.refused IS NOT NULL AND k.key IS NOT NULL
)
SELECT identity FROM page ORDER BY identity DESC LIMIT 1
