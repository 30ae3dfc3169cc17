-- What a merchant configures for its payments everywhere, and holds nothing personal: each node has all
-- rows, and of two with one id the higher version is right, that of the later change. `details` is JSON.
CREATE TABLE configuration (
    id text PRIMARY KEY,
    merchant text NOT NULL,
    livemode boolean NOT NULL,
    created_ms bigint NOT NULL,
    details text NOT NULL,
    version bigint NOT NULL
);
