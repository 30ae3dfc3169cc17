-- What an operator should be told of without asking.
SELECT (SELECT count(*) FROM duplicate) AS duplicates, (SELECT count(*) FROM fork) AS forks,
       (SELECT count(*) FROM payment_view WHERE gap_since IS NOT NULL) AS gaps,
       (SELECT coalesce(sum(events), 0) FROM node_view)::bigint AS events
