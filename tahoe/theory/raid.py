"""RAID: the classical approximations, for comparison with the exact chains and with the literature.

They hold when repair is much faster than failure. Times are in any one unit.
"""

from tahoe.theory.markov import MeanTime
from tahoe.theory.numbers import check_positive


def raid5_mean_time_to_loss(disks: int, mean_time_to_failure: float, mean_time_to_repair: float) -> MeanTime:
    """How long does a RAID-5 group last on average?

    Formula: MTTF² / (n (n-1) MTTR), for n disks of which one may fail.

    Args:
        disks: disks in the group, parity included (n).
        mean_time_to_failure: of one disk.
        mean_time_to_repair: of one disk, same unit.

    Returns:
        The mean in that unit, with its warning.

    Source: Patterson, Gibson and Katz, A Case for Redundant Arrays of Inexpensive Disks, SIGMOD 1988, for one group.
    """
    if disks < 2:
        raise ValueError(f"a group has at least two disks, not {disks}")
    return raid_mean_time_to_loss(disks - 1, (disks - 1, 1), mean_time_to_failure, mean_time_to_repair)


def raid_mean_time_to_loss(
    data_disks: int, group: tuple[int, int], mean_time_to_failure: float, mean_time_to_repair: float
) -> MeanTime:
    """How long does an array of several RAID groups last on average?

    Formula: MTTF² / ((D + C·D/G) (G + C - 1) MTTR).

    Args:
        data_disks: disks of data in the whole array (D).
        group: disks of data and check disks in one group (G, C); mirroring is (1, 1).
        mean_time_to_failure: of one disk.
        mean_time_to_repair: of one disk, same unit.

    Returns:
        The mean in that unit, with its warning.

    Source: Patterson, Gibson and Katz, A Case for Redundant Arrays of Inexpensive Disks, SIGMOD 1988.
    """
    check_positive(mean_time_to_failure=mean_time_to_failure, mean_time_to_repair=mean_time_to_repair)
    data, checks = group
    check_positive(data_disks=data_disks, data_disks_of_a_group=data, check_disks_of_a_group=checks)
    disks = data_disks + checks * data_disks / data
    return MeanTime(mean_time_to_failure**2 / (disks * (data + checks - 1) * mean_time_to_repair))


def expected_losses(mean_time: MeanTime, groups: int, mission: float) -> float:
    """How many losses do so many groups expect within a mission, each being made new after a loss?

    Formula: groups · t / MTTDL (a renewal's rate), good while the mission is much longer than a repair.

    Args:
        mean_time: mean time to loss of one group.
        groups: groups observed.
        mission: length of the mission (t), in the mean time's unit.
    """
    return groups * mission / mean_time.duration
