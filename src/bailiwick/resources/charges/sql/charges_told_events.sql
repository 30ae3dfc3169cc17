-- All events of some payments, in order: of what is told of their charges. $1: the payments.
SELECT e.subject, e.id, e.seq, e.type, e.body, e.content, e.created_ms
  FROM event e WHERE e.subject = ANY ($1::text[])
 ORDER BY e.subject, e.seq
