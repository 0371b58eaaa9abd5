"""Our grid for the benchmark: ten storage processes, an introducer, a client and mosquitto."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from experiments.bench.load import Ask, share_files
from tahoe.cli.checkjobs import DONE, RUNNING
from tahoe.cli.local_grid import BROKER, CLIENT_NAME, GridPlan, LocalGrid
from tahoe.net.card import BrokerEntry
from tahoe.protocol import Encoding


class OurGrid:
    """Runs as long as the context lasts.

    Args:
        root: an empty directory.
    """

    name = "tahoe-grid"
    mutable = "SLOT"

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._grid = LocalGrid(GridPlan(root, servers=10, encoding=Encoding(), engine="mosquitto"))

    def __enter__(self) -> Self:
        try:
            self.broker: BrokerEntry = self._grid.start_broker()
            self._grid.make_nodes(self.broker)
            self._grid.start_nodes()
        except BaseException:
            self._grid.stop()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._grid.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the gateway."""
        url = urlsplit((self._grid.client / "node.url").read_text().strip())
        return url.hostname or "", url.port or 0

    @property
    def headers(self) -> dict[str, str]:
        """The node's token."""
        return {"Authorization": f"Bearer {(self._grid.client / 'private' / 'api_token').read_text().strip()}"}

    def processes(self) -> dict[str, list[int]]:
        """Process ids of client, servers and broker."""
        broker = self._grid.process_id(BROKER)
        children = Path(f"/proc/{broker}/task/{broker}/children").read_text(encoding="ascii").split()
        return {
            "client": [self._grid.process_id(CLIENT_NAME)],
            "servers": [self._grid.process_id(name) for name in self._grid.server_names],
            "the broker": [int(child) for child in children],
        }

    def stored_bytes(self) -> int:
        """Bytes of share files on all servers' disks."""
        return sum(path.stat().st_size for root in self._share_roots() for path in root.rglob("*") if path.is_file())

    def share_files(self, index: str) -> list[Path]:
        """Files of one object's shares on all servers' disks, by number."""
        return share_files(self._share_roots(), index)

    def _share_roots(self) -> list[Path]:
        return [self._grid.plan.root / name / "storage" / "shares" for name in self._grid.server_names]

    def keep(self, ask: Ask, action: str, cap: str) -> dict[str, Any]:
        """A job, which is followed to its end."""
        return _follow(ask, f"/uri/{cap}?t=start-{action}")

    def check_tree(self, ask: Ask, cap: str) -> int:
        """A job, which is followed to its end."""
        found = _follow(ask, f"/uri/{cap}?t=start-deep-check")
        return int(found["count-objects-healthy"])

    def command(self) -> tuple[str, ...]:
        """``tahoe status`` of the client."""
        return (sys.executable, "-m", "tahoe.cli.main", "status", str(self._grid.client))

    def tool(self, *arguments: str) -> tuple[str, ...]:
        """``tahoe`` with the client's node."""
        command, *rest = arguments
        return (sys.executable, "-m", "tahoe.cli.main", command, "-d", str(self._grid.client), *rest)


def _follow(ask: Ask, path: str) -> dict[str, Any]:
    """Start a job and wait for it, as the command line does; return what it comes to."""
    job = json.loads(ask("POST", path))["job"]
    while (facts := json.loads(ask("GET", f"/jobs/{job}?wait=true")))["state"] == RUNNING:
        continue
    if facts["state"] != DONE:
        raise RuntimeError(f"a job ended as {facts['state']}: {facts.get('error')}")
    found: dict[str, Any] = facts["result"]
    return found
