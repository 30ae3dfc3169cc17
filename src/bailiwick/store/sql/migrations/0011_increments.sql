-- More may be held than was authorized at first: a further operation at the provider, and the state
-- while it is under way. Both domains only grow, so no row needs to be looked at again.
ALTER DOMAIN payment_state DROP CONSTRAINT payment_state_check;
ALTER DOMAIN payment_state ADD CONSTRAINT payment_state_check CHECK (VALUE IN (
    'requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',
    'requires_capture', 'incrementing', 'capturing', 'voiding', 'succeeded', 'canceled')) NOT VALID;
ALTER DOMAIN operation_kind DROP CONSTRAINT operation_kind_check;
ALTER DOMAIN operation_kind ADD CONSTRAINT operation_kind_check CHECK (
    VALUE IN ('charge', 'increment', 'capture', 'void', 'refund')) NOT VALID;
