"""Which actors work in a node, by the roles of its configuration.

Every node has a member, who keeps it joined to its grid. Whoever builds actors hands them what they may
not open themselves: the store of a storage server.
"""

from __future__ import annotations

from pathlib import Path

from tahoe.actors.introducer import Introducer
from tahoe.actors.membership import IntroducerContact, Membership
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.context import Actor
from tahoe.net.config import StorageSection
from tahoe.net.incarnation import Crew, Papers, Quarters
from tahoe.protocol import INTRODUCER, MEMBER, STORAGE
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.store import StoreOptions


def build_crew(quarters: Quarters) -> Crew:
    """The actors of a node. Opens its store.

    Raises:
        BadConfiguration: the store or a statement can't be used.
    """
    papers = quarters.papers
    actors: list[Actor] = []
    store: DiskStore | None = None
    if INTRODUCER in papers.config.roles:
        actors.append(_introducer(quarters))
    if STORAGE in papers.config.roles:
        store = open_store(papers.directory.path, papers.config.storage)
        actors.append(StorageServer(quarters.context(STORAGE), store, _upkeep(papers.config.storage)))
    member = _member(quarters)
    actors.append(member)
    return Crew(tuple(actors), store.space if store else None, store.shut if store else None)


def open_store(directory: Path, section: StorageSection) -> DiskStore:
    """Open the store of a storage server; a relative place is one in the node directory.

    Raises:
        BadConfiguration: it was made by a newer program.
        StorageFailed: the disk does not allow it.
    """
    root = directory / section.directory
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = StoreOptions(
        sizelimit=section.sizelimit or None, reserved_space=section.reserved_space, readonly=section.readonly
    )
    return DiskStore(RealFileSystem(root), options).open()


def _introducer(quarters: Quarters) -> Introducer:
    papers = quarters.papers
    statements = papers.directory.load_statements(papers.card.public_key)
    return Introducer(quarters.context(INTRODUCER), papers.card.public_key, statements)


def _member(quarters: Quarters) -> Membership:
    papers = quarters.papers
    return Membership(
        quarters.context(MEMBER), papers.card.public_key, _contacts(papers), papers.config.client.bounds()
    )


def _contacts(papers: Papers) -> tuple[IntroducerContact, ...]:
    return tuple(IntroducerContact(entry.node, entry.exchange_key) for entry in papers.card.introducers)


def _upkeep(section: StorageSection) -> Upkeep:
    return Upkeep(idle_upload=section.idle_upload, scrub_every=section.scrub_every)
