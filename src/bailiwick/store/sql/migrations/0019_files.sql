-- What is in files that merchants have uploaded: its own table, so that it can be erased, and goes when
-- its time is over; all else of a file is a record. PDF, JPEG and PNG are compressed already.
CREATE TABLE file_content (
    file       text   COLLATE "C" PRIMARY KEY,
    expires_ms bigint NOT NULL,
    content    bytea  NOT NULL
);
CREATE INDEX file_content_by_time ON file_content (expires_ms);
ALTER TABLE file_content ALTER COLUMN content SET STORAGE EXTERNAL;
-- Statistics would be copies.
ALTER TABLE file_content ALTER COLUMN content SET STATISTICS 0;
