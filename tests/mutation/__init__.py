"""What the tests miss: mutants of the library, judged by tests, or by the search and the world."""
