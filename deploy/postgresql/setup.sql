-- Once, on the primary, as its superuser; then `bailiwick migrate` as the role `bailiwick`.
-- Give both roles passwords with \password, so that they are in no file and no log.
CREATE ROLE bailiwick LOGIN;
CREATE DATABASE bailiwick OWNER bailiwick TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE ROLE replicator LOGIN REPLICATION;
SELECT pg_create_physical_replication_slot('standby_a', true);
SELECT pg_create_physical_replication_slot('standby_b', true);
