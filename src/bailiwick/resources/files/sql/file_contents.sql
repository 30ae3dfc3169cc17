-- What is in files, of those that are there still. $1: their ids.
SELECT file, content FROM file_content WHERE file = ANY ($1::text[])
