"""The drill: the whole system on many hosts, real faults under load, and the checker over it."""
