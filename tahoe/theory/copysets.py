"""Copysets: a few servers die at once (a power outage). How likely is any loss, and how large is it?

A copyset is a set of R servers that holds all copies of some chunk. Random placement soon makes every set of R one,
so that some data is lost for certain whenever R servers die; few copysets make loss rare and large. The mean loss is
the same: placement chooses the shape, not the amount.
"""

from math import comb, expm1, log1p

from tahoe.theory.numbers import Number, check_positive, exact


def loss_in_outage(servers: int, replicas: int, copysets: Number, failed: int) -> float:
    """With which probability does an outage of exactly so many random servers lose any chunk?

    Formula: 1 - (1 - c/C(N,R))^C(f,R), which takes the failed sets for independent draws.

    Args:
        servers: servers in all (N).
        replicas: copies of each chunk (R).
        copysets: different copysets in use (c); see `minimal_copysets` and `random_copysets`.
        failed: servers that are lost (f).

    Returns:
        The probability that all servers of at least one copyset are among the failed.

    Source: Cidon et al., Copysets: Reducing the Frequency of Data Loss in Cloud Storage, USENIX ATC 2013.
    """
    _check(servers, replicas, failed)
    share = exact(copysets) / comb(servers, replicas)
    if not 0 <= share <= 1:
        raise ValueError(f"there are {comb(servers, replicas)} sets of {replicas} servers, not {copysets}")
    sets_lost = comb(failed, replicas)
    return float(sets_lost > 0) if share == 1 else -expm1(sets_lost * log1p(-share))


def minimal_copysets(servers: int, replicas: int, scatter_width: int) -> float:
    """How few copysets give every server so many others to share its chunks with?

    Formula: (S / (R-1)) · (N / R), that many random permutations cut into sets of R. A scatter width of R - 1 is the
    minimal scheme, N/R copysets.

    Args:
        servers: servers in all (N).
        replicas: copies of each chunk (R), at least 2.
        scatter_width: servers that hold copies of one server's chunks (S), at least R - 1.

    Source: Cidon et al., USENIX ATC 2013, sec. 3.
    """
    if not 2 <= replicas <= scatter_width + 1 <= servers:
        raise ValueError(f"a scatter width lies between {replicas - 1} and {servers - 1}, not at {scatter_width}")
    return scatter_width / (replicas - 1) * servers / replicas


def random_copysets(servers: int, replicas: int, chunks: int) -> float:
    """How many different copysets do so many chunks make when each is placed at random?

    Formula: M (1 - (1 - 1/M)^n) expected, with M = C(N,R) sets to choose from.

    Args:
        servers: servers in all (N).
        replicas: copies of each chunk (R).
        chunks: chunks in the whole system (n), each counted once.
    """
    _check(servers, replicas, servers)
    sets = comb(servers, replicas)
    return float(min(chunks, 1)) if sets == 1 else -sets * expm1(chunks * log1p(-1 / sets))


def expected_chunks_lost(chunks: int, servers: int, replicas: int, failed: int) -> float:
    """How many chunks does an outage of exactly so many random servers lose on average?

    Formula: n · C(f,R) / C(N,R), for *every* placement that treats servers alike (by linearity): fewer copysets make
    losses rarer and larger in just that proportion.

    Args:
        chunks: chunks in the whole system (n).
        servers: servers in all (N).
        replicas: copies of each chunk (R).
        failed: servers that are lost (f).

    Source: Cidon et al., USENIX ATC 2013.
    """
    _check(servers, replicas, failed)
    return float(exact(chunks) * comb(failed, replicas) / comb(servers, replicas))


def expected_bytes_lost(stored_bytes: int, server_failure: Number, replicas: int) -> float:
    """How many bytes does an outage lose on average if each server falls with a probability of its own?

    Formula: bytes · a^R.

    Args:
        stored_bytes: bytes in the system.
        server_failure: probability that a server is lost in the outage (a).
        replicas: copies of each byte (R).

    Source: Cidon et al., USENIX ATC 2013 (1 % of 5000 servers with 64 GiB each).
    """
    check_positive(replicas=replicas)
    return float(stored_bytes * exact(server_failure) ** replicas)


def _check(servers: int, replicas: int, failed: int) -> None:
    if not (1 <= replicas <= servers and 0 <= failed <= servers):
        raise ValueError(f"{servers} servers cannot hold {replicas} copies and lose {failed} of themselves")
