-- Each node has all webhook endpoints, and of two rows with one id the higher version is right: that of
-- the later change. A deleted endpoint leaves a row that says so, so that a node that was away does not
-- bring it back.
ALTER TABLE webhook_endpoint ADD COLUMN version bigint NOT NULL DEFAULT 0, ADD COLUMN deleted_ms bigint;
CREATE INDEX webhook_endpoint_deleted ON webhook_endpoint (deleted_ms) WHERE deleted_ms IS NOT NULL;
