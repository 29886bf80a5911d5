"""The pure part of the operator's side: no clock, no chance, no I/O, no keys, no logging."""
