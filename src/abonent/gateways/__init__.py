"""Real links to operators.

Knows protocols that operators speak: CAMARA over HTTP (`abonent.gateways.camara`), and files.
Refuses to know what becomes of an answer.
"""
