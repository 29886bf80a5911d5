"""The one loop: load, decide, commit, perform what is owed, feed its outcome back.

Knows the order of things. Refuses to know rules (core), databases (stores) and threads or tasks:
the shells drive its flows.
"""
