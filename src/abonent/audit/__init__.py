"""Evidence: the journal as a tree that can only grow, and proofs that a third party can check.

Knows Merkle trees, tiles, signed checkpoints and proofs. What makes a log (`log`, `signing`,
`evidence`) is apart from what checks one (`verifying`, which needs files and a public key only).
Refuses to change the journal, or to be asked on the way of a message: it reads the feed.
"""
