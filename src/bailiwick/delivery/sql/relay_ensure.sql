-- A consumer of the outbox that has not been here before. $1: consumer.
INSERT INTO relay (consumer) VALUES ($1) ON CONFLICT (consumer) DO NOTHING
