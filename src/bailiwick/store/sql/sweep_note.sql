-- Nothing that was permitted before is forgotten any more. $1: the time.
UPDATE sweep SET swept_until = $1 WHERE swept_until < $1
