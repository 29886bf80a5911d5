"""Where root keys come from: memory, the environment, a file, or a file of wrapped ones.

Knows sources of keys, and how a key is added, made current and removed. Refuses to know what is
sealed under one, and so whether it may be removed: that `Identifier.check_retirable` knows.
"""

from abonent.keys.files import FileKeys
from abonent.keys.given import EnvironmentKeys, MemoryKeys
from abonent.keys.listing import KeyIds
from abonent.keys.wrapped import WrappedKeys

__all__ = ["EnvironmentKeys", "FileKeys", "KeyIds", "MemoryKeys", "WrappedKeys"]
