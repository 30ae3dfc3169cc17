-- What is due is claimed endpoint by endpoint, so that what one merchant is owed is not looked
-- through for another's.
CREATE INDEX delivery_by_endpoint ON delivery (endpoint, next_at) WHERE next_at IS NOT NULL;
DROP INDEX delivery_due;
