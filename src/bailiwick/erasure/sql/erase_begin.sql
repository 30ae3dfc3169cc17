-- Say that this transaction erases: events may be replaced by what is left of them.
SELECT set_config('bailiwick.erasing', 'on', true)
