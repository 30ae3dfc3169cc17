-- What is left of a dispute's details. $1: its id, $2: these.
UPDATE dispute SET details = $2::text::json WHERE id = $1
