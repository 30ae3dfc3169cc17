"""Forms in which several providers write: codes to scan, problems, references without underscores.
Pure."""
