"""The operator's side: answers, records, notices."""
