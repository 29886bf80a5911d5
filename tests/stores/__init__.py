"""Tests of abonent.stores."""
