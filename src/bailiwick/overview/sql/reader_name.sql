-- The name under which the broker remembers how far this database has read.
SELECT durable FROM reader
