"""The pure core: what an identification is and what may happen to it.

No clock, no randomness, no I/O, no keys, no logging: time, nonces, rules, policy, agreements and
routing are arguments. Whoever calls decides when; this room decides what.
"""
