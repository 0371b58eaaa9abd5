"""What the gateway measures: statistics for programs, metrics for Prometheus, storage, and transfers."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from tahoe.actors.carereport import Light
from tahoe.web.calls import NOT_KEPT, Call, json_answer
from tahoe.web.care import health_of
from tahoe.web.errors import WebError
from tahoe.web.jobs import State
from tahoe.web.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp

OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def statistics(call: Call) -> ASGIApp:
    """Tell counts since the node started, and how much the process takes."""
    return json_answer(await figures(call.services))


async def figures(services: Services) -> dict[str, Any]:
    """Return all figures, JSON-able."""
    status = await services.status()
    node = status.get("node", {})
    servers = status.get("servers", [])
    return {
        "uptime_seconds": max(0.0, time.time() - node.get("started", time.time())),
        "transfers": {kind: _totals(services, kind) for kind in services.transfers.totals},
        "jobs": {state.value: sum(job.state is state for job in services.jobs.all()) for state in State},
        "servers": {"known": len(servers), "online": sum(server["online"] is True for server in servers)},
        "brokers_connected": sum(bool(broker["connected"]) for broker in status.get("brokers", [])),
        "storage": status.get("storage"),
        "packets_dropped": dict(status.get("dropped", {})),
        "failures": status.get("failures", 0),
        "care": None if services.caretaker is None else health_of(services.caretaker),
        "process": _process(),
    }


def _totals(services: Services, kind: str) -> dict[str, int]:
    totals = services.transfers.totals[kind]
    running = sum(each.kind == kind and each.ended is None for each in services.transfers.all())
    return {"ended": totals.ended, "failed": totals.failed, "bytes": totals.bytes, "running": running}


def _process() -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    return {"processor_seconds": usage.ru_utime + usage.ru_stime, "peak_memory_bytes": usage.ru_maxrss * unit}


# --- OpenMetrics -------------------------------------------------------------------------------------------


async def metrics(call: Call) -> ASGIApp:
    """Tell the same in the text format of OpenMetrics, which Prometheus reads."""
    text = "\n".join([*open_metrics(await figures(call.services)), "# EOF", ""])
    return Response(text, headers={**NOT_KEPT, "Content-Type": OPEN_METRICS})


def open_metrics(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of all metric families."""
    yield from _family("tahoe_uptime_seconds", "gauge", "Since the node started.", {"": found["uptime_seconds"]})
    transfers = found["transfers"]
    for key, about in (("ended", "Transfers that ended."), ("failed", "Transfers that failed."), ("bytes", "Moved.")):
        samples = {_label("kind", kind): totals[key] for kind, totals in transfers.items()}
        yield from _family(f"tahoe_transfers_{key}", "counter", about, samples)
    running = {_label("kind", kind): totals["running"] for kind, totals in transfers.items()}
    yield from _family("tahoe_transfers_running", "gauge", "Transfers under way.", running)
    jobs = {_label("state", state): count for state, count in found["jobs"].items()}
    yield from _family("tahoe_jobs", "gauge", "Jobs that are remembered, by state.", jobs)
    servers = {_label("state", state): count for state, count in found["servers"].items()}
    yield from _family("tahoe_servers", "gauge", "Storage servers.", servers)
    yield from _family("tahoe_brokers_connected", "gauge", "Brokers in use.", {"": found["brokers_connected"]})
    yield from _storage(found["storage"])
    yield from _care(found.get("care"))
    dropped = {_label("reason", reason): count for reason, count in found["packets_dropped"].items()}
    yield from _family("tahoe_packets_dropped", "counter", "Packets that were not executed.", dropped)
    yield from _family("tahoe_failures", "gauge", "Recent failures of stories: bugs.", {"": found["failures"]})
    seconds, memory = found["process"]["processor_seconds"], found["process"]["peak_memory_bytes"]
    yield from _family("process_cpu_seconds", "counter", "Processor time.", {"": seconds})
    yield from _family("tahoe_peak_memory_bytes", "gauge", "Most memory so far.", {"": memory})


def _storage(storage: Mapping[str, Any] | None) -> Iterator[str]:
    for key in ("capacity", "available", "shares", "corrupt"):
        if storage and isinstance(storage.get(key), int | float):
            unit = "_bytes" if key in {"capacity", "available"} else ""
            about = f"Of this node's storage: {key}."
            yield from _family(f"tahoe_storage_{key}{unit}", "gauge", about, {"": storage[key]})


def _care(care: Mapping[str, Any] | None) -> Iterator[str]:
    """How it stands with what is looked after; the age of a root that was never seen whole is not a number."""
    if care is None:
        return
    yield from _family("tahoe_care_state", "gauge", "0 green, 1 yellow, 2 red.", {"": Light(care["state"]).status})
    objects: Counter[str] = Counter()
    for root in care["roots"]:
        objects.update(root["objects"])
    samples = {_label("safety", name): count for name, count in objects.items()}
    yield from _family("tahoe_care_objects", "gauge", "Objects that are looked after.", samples)
    ages = {_label("root", root["name"]): _age(root["verified-age"]) for root in care["roots"]}
    yield from _family("tahoe_care_verified_age_seconds", "gauge", "Since all of it was seen alive.", ages)
    done = {_label("work", name): count for name, count in care["done"].items()}
    yield from _family("tahoe_care_done", "counter", "What the caretaker has done.", done)
    yield from _family("tahoe_care_moved_bytes", "gauge", "Moved by the caretaker.", {"": care["bytes"]})


def _age(age: float | None) -> float:
    return float("nan") if age is None else age


def _family(name: str, kind: str, about: str, samples: Mapping[str, float]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    if name.endswith(("_seconds", "_bytes")):
        yield f"# UNIT {name} {name.rpartition('_')[2]}"
    yield f"# HELP {name} {about}"
    suffix = "_total" if kind == "counter" else ""
    for labels, value in samples.items():
        yield f"{name}{suffix}{labels} {value:g}" if isinstance(value, float) else f"{name}{suffix}{labels} {value}"


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{name}="{escaped}"}}'


# --- storage and transfers ---------------------------------------------------------------------------------


async def storage(call: Call) -> ASGIApp:
    """Tell what this node keeps for others: space, shares, limits, leases by when they end, accounts with their quotas."""
    status, books = await call.services.status(), call.services.books
    told = {"storage": status.get("storage"), "here": await books.here()}
    return json_answer({**told, "mine": await books.mine()} if call.flag("servers") else told)


async def list_transfers(call: Call) -> ASGIApp:
    """Tell of running and recent transfers, the newest first, with sums for each server."""
    return json_answer({"transfers": [each.describe() for each in call.services.transfers.all()]})


async def show_transfer(call: Call) -> ASGIApp:
    """Tell of one transfer, with every question to a server and how long it took."""
    transfer = call.services.transfers.get(call.scope["path_params"]["transfer"])
    if transfer is None:
        raise WebError(404, "there is no transfer of this name, or it ended long ago")
    return json_answer({**transfer.describe(), "timeline": transfer.timeline()})
