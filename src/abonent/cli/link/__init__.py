"""The demo with both sides in two processes, over real HTTP on loopback.

Knows nothing: its modules do.
"""
