-- A part of `create.sql` and `move.sql` of a kind that writes records beside its orders: whose they
-- are, held until the commit. Who erases an owner waits, and finds them.
), records_owners AS MATERIALIZED (
    SELECT r.id FROM record r
     WHERE r.details <> '{}' AND r.id IN (
           SELECT s.belongs_to
             FROM input i CROSS JOIN LATERAL json_to_recordset(i.more -> 'records') AS s (
                  belongs_to text))
     ORDER BY r.id FOR SHARE
