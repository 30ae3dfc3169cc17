-- What is left of what an event told. $1: the order's id, $2: which of its events, $3: body,
-- $4: content, $5: instruction, $6: answer.
UPDATE event SET body = $3, content = $4, instruction = $5, answer_body = $6
 WHERE subject = $1 AND seq = $2
