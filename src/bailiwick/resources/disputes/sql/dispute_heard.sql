-- What the provider told last of a dispute is known: whatever is older is no news any more. Nothing
-- else changes, and no fenced node writes it. $1: the dispute, $2: the provider's count, $3: the epoch.
UPDATE dispute SET sequence = $2
 WHERE id = $1 AND sequence < $2
   AND EXISTS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $3)
