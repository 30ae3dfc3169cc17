-- A payment, which nobody else moves until the transaction ends. $1: its id.
SELECT version FROM payment WHERE id = $1 FOR UPDATE
