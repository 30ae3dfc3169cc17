"""`bailiwick bench`: load, measure, and check that every payment measured is really there."""
