-- Commit next to nothing. Under a synchronous standby this returns only once the standby has all
-- that was committed here before; on a server that has lost it, never.
UPDATE sweep SET swept_until = swept_until
