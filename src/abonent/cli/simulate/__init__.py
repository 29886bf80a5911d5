"""What `abonent simulate` does: one world is run, measured, and shown.

Knows the way from a command line to a table, a JSON object or a page. Refuses to know how a world
works, and to say a number.
"""
