-- All configurations; they are few and kept in memory.
SELECT id, merchant, livemode, created_ms, details, version FROM configuration
 ORDER BY created_ms DESC, id DESC
