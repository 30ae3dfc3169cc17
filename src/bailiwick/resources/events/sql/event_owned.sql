-- Whether an event is a merchant's own: a row if so. $1: id, $2: merchant, $3: live mode.
SELECT true FROM event e
 WHERE e.id = left($1, 30) AND merchant = $2 AND livemode = $3
   AND (e.id = $1 OR (string_to_array(concat_ws(' ', e.type, e.also), ' '))
                     [nullif(split_part($1, '_', 3), '')::integer] IS NOT NULL)
