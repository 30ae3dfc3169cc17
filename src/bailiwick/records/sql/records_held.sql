-- A part of `move.sql` likewise: the records that it changes, after their owners, as everybody locks
-- them.
), records_held AS MATERIALIZED (
    SELECT r.id, r.version FROM record r
     WHERE (SELECT count(*) FROM records_owners) >= 0 AND r.id IN (
           SELECT s.id
             FROM input i CROSS JOIN LATERAL json_to_recordset(i.more -> 'records') AS s (id text))
     ORDER BY r.id FOR UPDATE
