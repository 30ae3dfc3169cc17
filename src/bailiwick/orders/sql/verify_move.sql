-- Which of these moves are there? Each move writes exactly one event. $1: subjects, $2: versions.
SELECT e.writer
  FROM unnest($1::text[], $2::integer[]) AS i (subject, seq)
  JOIN event e ON e.subject = i.subject AND e.seq = i.seq
