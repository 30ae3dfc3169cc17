-- What is left of a refund's details. $1: its id, $2: these.
UPDATE refund SET details = $2::text::json WHERE id = $1
