-- What is known of events that were refused before. $1: consumer, $2: event ids.
SELECT event, tries, parked_at IS NOT NULL AS parked
  FROM relay_trouble WHERE consumer = $1 AND event = ANY ($2::text[])
