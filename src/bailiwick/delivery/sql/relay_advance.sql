-- Say how far the outbox has been relayed. $1: consumer, $2: cluster, $3: going through all,
-- $4, $5, $6: transaction, subject and sequence, $7, $8: the stream and the last number in it,
-- $9: events published by this pass.
UPDATE relay
   SET origin = $2, sweeping = $3, xact = $4, subject = $5, seq = $6, stream = $7,
       stream_seq = $8, published = published + $9::integer, advanced_at = now()
 WHERE consumer = $1
