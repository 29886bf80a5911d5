"""The stores that come with the library.

Knows which there are. Refuses to know how any of them works.
"""

from abonent.stores.memory import MemoryStorage
from abonent.stores.sqlite import SqliteStorage

__all__ = ["MemoryStorage", "SqliteStorage"]
