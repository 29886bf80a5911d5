"""One-time codes over SMPP 3.4. Needs the extra `smpp`.

Knows senders and their settings. Refuses to know what an identification is.
"""

from abonent.possession.smpp.link import Meaning, SmppLink
from abonent.possession.smpp.senders import AsyncSmppSender, SmppSender

__all__ = ["AsyncSmppSender", "Meaning", "SmppLink", "SmppSender"]
