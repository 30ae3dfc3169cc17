-- Erase a file's content. $1: the file.
DELETE FROM file_content WHERE file = $1
