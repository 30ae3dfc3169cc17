-- A part of `move.sql` likewise: an order moves only with its records as they were when that was
-- decided; else it is decided anew.
       AND NOT EXISTS (
           SELECT FROM json_to_recordset(i.more -> 'records') AS s (id text, version integer)
             LEFT JOIN records_held h ON h.id = s.id
            WHERE coalesce(h.version, 0) <> s.version - 1)
