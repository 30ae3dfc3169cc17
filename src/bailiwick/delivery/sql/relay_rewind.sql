-- Have the outbox sent again from its beginning. $1: consumer.
UPDATE relay SET origin = NULL WHERE consumer = $1
