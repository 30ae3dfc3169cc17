-- Keep a file's content. $1: the file, $2: until when (milliseconds), $3: the content.
INSERT INTO file_content (file, expires_ms, content) VALUES ($1, $2, $3)
