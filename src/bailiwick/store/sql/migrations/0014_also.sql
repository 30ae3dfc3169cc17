-- What else is told by the move that an event tells of: types of further events, separated by spaces,
-- in order. The second event of the row has the row's id with _2 behind it, and so on. Their objects
-- are made from the payment's events and attempts when they are asked for: storing them would cost
-- every payment another row.
ALTER TABLE event ADD COLUMN also text;
ALTER TYPE payment_move_row ADD ATTRIBUTE also text;
