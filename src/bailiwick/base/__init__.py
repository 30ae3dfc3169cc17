"""Pure building blocks shared by every process: no I/O, no clocks of their own."""
