-- All attempts to charge of some payments, in order, by what they were begun with and ended by. Their
-- ids are the payments' with another prefix. $1: the payments.
SELECT a.subject, a.id, a.seq, a.state, a.amount, a.gateway, a.provider_ref, a.result
  FROM unnest($1::text[]) AS p (id)
  JOIN attempt a ON a.id BETWEEN 'ch_' || substr(p.id, 4) AND 'ch_' || substr(p.id, 4) || '_~'
   AND a.subject = p.id
 WHERE a.operation = 'charge'
 ORDER BY a.subject, a.number
