-- Test clocks are records; those that advance are looked for again and again.
CREATE INDEX record_advancing ON record (updated_ms) WHERE found_by = 'advancing';
