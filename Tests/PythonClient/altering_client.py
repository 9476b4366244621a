#!/usr/bin/python3
"""The Python client, with one byte of every first piece changed on the way: a hostile sender."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import congvan_client  # noqa: E402


class AlteringClient(congvan_client.Client):
    def publish(self, key: str, kind: str, message_id: str, body: bytes,
                about: str | None = None, **headers: Any) -> None:
        if kind == "piece" and headers["offset"] == 0:
            body = body[:-1] + bytes([body[-1] ^ 1])
        super().publish(key, kind, message_id, body, about, **headers)


congvan_client.Client = AlteringClient  # type: ignore[misc]
sys.exit(congvan_client.main())
