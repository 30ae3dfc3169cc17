-- Attempts by the ids that providers have given their objects: for gateways whose callbacks may name nothing
-- else. An index on the attempts themselves would cost every payment.
CREATE TABLE known_object (
    attempt      text NOT NULL COLLATE "C",
    provider_ref text NOT NULL COLLATE "C",
    gateway      text NOT NULL,
    PRIMARY KEY (attempt, provider_ref)
);
CREATE INDEX known_object_by_ref ON known_object (provider_ref, gateway);
