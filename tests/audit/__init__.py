"""The log of the journal, its proofs, and what is done to them."""
