-- Put something else in the place of all that was told of a record. $1: its id, $2: what.
UPDATE personal_event SET body = $2, answer = NULL WHERE subject = $1
