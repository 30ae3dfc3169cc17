-- A callback that could not be carried out is forgotten, so that its repetition is taken.
-- $1: gateway, $2: notice.
DELETE FROM callback WHERE gateway = $1 AND notice = $2
