"""Senders cost nothing before they are used: no extra, and no asyncio for who uses threads."""

import subprocess
import sys


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_names_of_the_facade_bring_no_extra():
    """Who sends codes otherwise needs neither the codec nor an event loop."""
    assert "[]" == run(
        "import sys, abonent\n"
        "abonent.OneTimeCodes, abonent.FallbackSender, abonent.CodeTexts, abonent.DeliveryState\n"
        "print([each for each in ('asyncio', 'smpp34') if each in sys.modules])"
    )


def test_without_the_codec_the_error_says_what_to_install():
    """Before anything is sent."""
    said = run("import sys\nsys.modules['smpp34'] = None\nimport abonent.possession.smpp")
    assert "ModuleNotFoundError: SMPP needs a codec: pip install 'abonent[smpp]'" == said
