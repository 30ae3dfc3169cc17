-- Let the block-range index know of new blocks now: what it does not know, every pass would read.
SELECT brin_summarize_new_values('event_by_xact')
