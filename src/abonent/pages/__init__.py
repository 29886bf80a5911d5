"""Pages for people: one HTML file that needs nothing else, with plots that are text and shapes.

Knows paper, ink, escaping, and how figures are spelt. Refuses to know what any page is about.
Plots need the extra `report`; nothing else here does.
"""
