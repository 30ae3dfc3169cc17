-- Which of these moves are there? Each move writes exactly one event. $1: payments, $2: versions.
SELECT e.writer
  FROM unnest($1::text[], $2::integer[]) AS i (payment, seq)
  JOIN event e ON e.payment = i.payment AND e.seq = i.seq
