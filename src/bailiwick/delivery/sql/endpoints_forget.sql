-- Forget webhook endpoints that were deleted before a time, in milliseconds. $1: it.
DELETE FROM webhook_endpoint WHERE deleted_ms < $1
