-- Take new pages of attempts into the index by the time of their permit.
SELECT brin_summarize_new_values('attempt_permitted')
