-- Gateways as their operators change them while the node runs. What the settings file says stays the start: a row
-- has what is said over it, or a gateway that was added.
CREATE TABLE gateway (
    name        text PRIMARY KEY COLLATE "C",
    version     bigint NOT NULL,           -- higher by one with each change
    state       text NOT NULL CHECK (state IN ('enabled', 'draining', 'disabled')),
    added       boolean NOT NULL,          -- it is in no settings file
    settings    json NOT NULL,             -- fields over those of the file; no secret is among them
    node_key    text,                      -- which node key has wrapped the data key; null: no credentials here
    wrapped_key bytea,                     -- the data key, encrypted by the node key
    credentials bytea,                     -- the secrets, encrypted by the data key
    credentials_at timestamptz,            -- when others were given: what was sent before is repeated under none
    changed_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((node_key IS NULL) = (wrapped_key IS NULL) AND (node_key IS NULL) = (credentials IS NULL))
);

-- Who changed what; never what a secret is.
CREATE TABLE gateway_change (
    gateway text NOT NULL COLLATE "C",
    version bigint NOT NULL,
    what    text NOT NULL,
    by_whom text NOT NULL,
    details json NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, version)
);
