-- Keys of which there is more than one payment. $1: the hashes that just came.
INSERT INTO duplicate (key_hash)
SELECT key_hash FROM payment_view WHERE key_hash = ANY ($1::text[])
 GROUP BY key_hash HAVING count(*) > 1
ON CONFLICT DO NOTHING
RETURNING key_hash
