"""Which actors work in a node, by the roles of its configuration.

Every node has a member, who keeps it joined to its grid. Whoever builds actors hands them what they may
not open themselves: the store of a storage server.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from tahoe.actors.caretaker import Caretaker
from tahoe.actors.client import Client, ClientTerms
from tahoe.actors.download import Habits, ReadingRoom
from tahoe.actors.drainer import Drainer
from tahoe.actors.history import Historian
from tahoe.actors.introducer import Introducer
from tahoe.actors.membership import IntroducerContact, Membership
from tahoe.actors.slots import SlotTerms
from tahoe.actors.steward import Stewardship
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.actors.terms import Limits
from tahoe.actors.vdrive import VDrive
from tahoe.context import Actor
from tahoe.net.alarm import alarm_of
from tahoe.net.config import StorageSection, parse_slot_encoding
from tahoe.net.crew import Crew, Papers, Quarters
from tahoe.net.keys import SECRET_BYTES, load_secret
from tahoe.policy.lease import CollectionTerms
from tahoe.protocol import CARETAKER, CLIENT, DRAINER, HISTORIAN, INTRODUCER, MEMBER, STORAGE, VDRIVE
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.sqliteindex import LEASE_INDEX, SqliteLeaseIndex
from tahoe.storage.store import StoreOptions


def build_crew(quarters: Quarters) -> Crew:
    """The actors of a node. Opens its store.

    Raises:
        BadConfiguration: the store, a secret or a statement can't be used.
    """
    papers = quarters.papers
    roles = papers.config.roles
    member = _member(quarters)
    actors: list[Actor] = [member]
    store: DiskStore | None = None
    clients: list[Client] = []
    if INTRODUCER in roles:
        actors.insert(0, _introducer(quarters))
    if STORAGE in roles:
        store = open_store(papers.directory.path, papers.config.storage)
        section, ctx = papers.config.storage, quarters.context(STORAGE)
        server = StorageServer(ctx, store, store.slots, _upkeep(section), _stewardship(papers))
        limits = Limits(message=papers.config.network.message_size)
        actors += (server, Drainer(quarters.context(DRAINER), member, server, limits, papers.directory.leave_notice))
    if CLIENT in roles or CARETAKER in roles:
        historian = Historian(quarters.context(HISTORIAN), member)
        actors.append(historian)
        terms = _terms(papers, load_secret(papers.directory.lease_secret))
        terms = replace(terms, room=replace(terms.room, times=historian.history))
        clients.append(Client(quarters.context(CLIENT), member, terms))
        actors += clients
        if papers.config.care.enabled or CARETAKER in roles:
            care = papers.config.care.terms(verify_only=CLIENT not in roles)
            caretaker = Caretaker(quarters.context(CARETAKER), clients[0], care)
            caretaker.on_change = alarm_of(papers.config.care)
            actors.append(caretaker)
    if VDRIVE in roles:
        clients.append(_reader(quarters, member))
        actors.append(VDrive(clients[-1].ctx, member, clients[-1].directories))
    return Crew(
        actors=tuple(actors),
        space=store.space if store else None,
        leave=store.shut if store else None,
        refit=partial(fit_messages, clients) if clients else None,
    )


def fit_messages(clients: Iterable[Client], packet_bytes: int) -> None:
    """Let clients' next transfers keep to smaller messages; what their downloads share stays shared."""
    for client in clients:
        terms = client.terms
        habits = replace(terms.room.habits, message=packet_bytes)
        client.terms = replace(
            terms, limits=replace(terms.limits, message=packet_bytes), room=replace(terms.room, habits=habits)
        )


def open_store(directory: Path, section: StorageSection) -> DiskStore:
    """Open the store of a storage server; a relative place is one in the node directory.

    Raises:
        BadConfiguration: it was made by a newer program.
        StorageFailed: the disk does not allow it.
    """
    root = directory / section.directory
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = StoreOptions(
        sizelimit=int(section.sizelimit) or None,
        reserved_space=int(section.reserved_space),
        readonly=section.readonly,
    )
    return DiskStore(RealFileSystem(root), options, index=SqliteLeaseIndex(root / LEASE_INDEX)).open()


def _introducer(quarters: Quarters) -> Introducer:
    papers = quarters.papers
    statements = papers.directory.load_statements(papers.card.public_key)
    return Introducer(quarters.context(INTRODUCER), papers.card.public_key, statements)


def _member(quarters: Quarters) -> Membership:
    papers = quarters.papers
    return Membership(
        quarters.context(MEMBER), papers.card.public_key, _contacts(papers), papers.config.client.bounds()
    )


def _reader(quarters: Quarters, member: Membership) -> Client:
    """What a vdrive looks into directories with. It only reads: it takes no leases and needs no lasting secret."""
    return Client(quarters.context(VDRIVE), member, _terms(quarters.papers, secrets.token_bytes(SECRET_BYTES)))


def _terms(papers: Papers, lease_master: bytes) -> ClientTerms:
    message = papers.config.network.message_size
    slots = papers.config.client.slots
    return ClientTerms(
        lease_master=lease_master,
        limits=Limits(message=message),
        room=ReadingRoom(habits=Habits(message=message)),
        slots=SlotTerms(*parse_slot_encoding(slots)) if slots else None,
    )


def _contacts(papers: Papers) -> tuple[IntroducerContact, ...]:
    return tuple(IntroducerContact(entry.node, entry.exchange_key) for entry in papers.card.introducers)


def _stewardship(papers: Papers) -> Stewardship:
    section = papers.config.storage
    collection = CollectionTerms(grace=section.keep_expired, window=section.keep_trash)
    return Stewardship(papers.card.public_key, collection)


def _upkeep(section: StorageSection) -> Upkeep:
    sweep = min(Upkeep().sweep_every, section.idle_upload / 2)  # or room would come back much later than was asked for
    return Upkeep(idle_upload=section.idle_upload, sweep_every=sweep, scrub_every=section.scrub_every)
