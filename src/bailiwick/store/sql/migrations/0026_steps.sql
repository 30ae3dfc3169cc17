-- When the step that an attempt is at got its first permit; null: its first request. `permitted_at` stays the
-- first permit of all.
ALTER TABLE attempt ADD COLUMN stepped_at timestamptz;
