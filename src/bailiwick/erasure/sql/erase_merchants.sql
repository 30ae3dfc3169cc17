-- The merchants that have payments here.
WITH RECURSIVE m AS (
    (SELECT merchant FROM payment ORDER BY merchant LIMIT 1)
    UNION ALL
    SELECT (SELECT p.merchant FROM payment p WHERE p.merchant > m.merchant ORDER BY p.merchant LIMIT 1)
      FROM m WHERE m.merchant IS NOT NULL
)
SELECT merchant FROM m WHERE merchant IS NOT NULL
