"""What every adapter of a port must do, as tests to inherit.

Knows one requirement a test; its docstring is the requirement. Refuses to know any adapter: what
one cannot do it says itself, in its features.
"""
