-- What is left of what a provider said. $1: the attempt, $2: that.
UPDATE attempt SET result = $2 WHERE id = $1
