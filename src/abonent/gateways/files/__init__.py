"""An operator that exchanges files: questions go out in batches, answers come back.

Knows lines of JSON, folders and who may read them. Refuses to know how files travel: a transfer of
the operator's choice takes them from one folder and puts them into another.
"""

from abonent.gateways.files.gateway import FilesGateway
from abonent.gateways.files.inbox import Settled, Taken

__all__ = ["FilesGateway", "Settled", "Taken"]
