-- A setup, which nobody else moves until the transaction ends. $1: its id.
SELECT version FROM setup WHERE id = $1 FOR UPDATE
