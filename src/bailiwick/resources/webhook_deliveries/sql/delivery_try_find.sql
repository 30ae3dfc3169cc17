-- One try of a delivery, whoever's it is. $1: id.
SELECT id, merchant, livemode, event, endpoint, subject, number, resent, created_ms, took_ms, url,
       status, failure, headers, body, body_cut, follows, next_ms
  FROM delivery_try WHERE id = $1
