-- What the events of an order tell. $1: the order's id.
SELECT seq, body, content, instruction, answer_body FROM event WHERE subject = $1 ORDER BY seq
