"""The tests mirror src/abonent; what cuts across it has folders of its own."""
