-- Say that this transaction deletes test data: events and postings of it may go, and nothing of live mode.
SELECT set_config('bailiwick.deleting_test_data', 'on', true)
