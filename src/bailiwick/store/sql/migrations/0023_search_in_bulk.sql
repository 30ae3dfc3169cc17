-- New terms go to a short list first and are sorted into the index in bulk: a third of the work for each
-- payment. At 64 kB, the least that can be said, a search reads a few pages of that list.
ALTER INDEX search_entry_terms SET (fastupdate = on, gin_pending_list_limit = 64);
