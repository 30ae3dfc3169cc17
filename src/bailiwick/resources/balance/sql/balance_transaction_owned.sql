-- Whether a balance transaction is a merchant's own, of this mode. $1: id, $2: merchant, $3: live mode.
SELECT e.id FROM event e
 WHERE e.merchant = $2 AND e.livemode = $3 AND e.id = 'evt_' || substr($1, 5)
   AND EXISTS (SELECT FROM posting p
                WHERE p.subject = e.subject AND p.seq = e.seq
                  AND 'merchant:' || e.merchant IN (p.debit, p.credit))
