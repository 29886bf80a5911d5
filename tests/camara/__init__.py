"""The client and an operator of our own, held to the specifications of CAMARA.

`python -m tests.camara FOLDER` reads the specifications from a folder; the ordinary tests have no
need of them.
"""
