"""Bodies that are larger than other requests' may be: files, and how many come at once."""
