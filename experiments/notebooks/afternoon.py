"""Reproducing published results in an afternoon."""

# %% [markdown]
# # Reproducing published results in an afternoon
#
# Four papers, four numbers or pictures, and a few lines for each. All eighty that we know of are on the page of
# [validation](validation.md).
#
# ## Erasure coding against replication (IPTPS 2002)
#
# A million machines, a tenth of them down. Two copies give two nines, say Weatherspoon and Kubiatowicz, and 32 fragments of
# which any sixteen suffice give over eight, for the same space.

# %%
from tahoe.theory.availability import loss_of_draw

for needed, made in ((1, 2), (16, 32)):
    print(f"any {needed} of {made}: unavailable with {loss_of_draw(needed, made, 1_000_000, 100_000):.6e}")

# %% [markdown]
# ## Copysets (USENIX ATC 2013)
#
# After a power outage one server in a hundred does not return. Scattered copies lose something nearly always, few copysets
# nearly never. Here is the paper's cluster of 5,000 servers, by formula, and a smaller one, drawn:

# %%
import numpy as np

from experiments.correlated import outages
from tahoe.sim.montecarlo import Code, Study, place, unplaced
from tahoe.sim.placements import Copysets, PermutedRing
from tahoe.theory.copysets import loss_in_outage, minimal_copysets, random_copysets

print(f"fewest copysets: {loss_in_outage(5000, 3, minimal_copysets(5000, 3, 2), 50):.2%}   (published: 0.15 %)")
print(f"scattered:       {loss_in_outage(5000, 3, random_copysets(5000, 3, 13_333_333), 50):.2%} (published: 99.99 %)")

study = Study(unplaced(120), files=1500, weathers=(), seconds=1.0, code=Code(1, 3))
for name, policy in (("copysets", Copysets(2)), ("scattered", PermutedRing())):
    lost = outages(place(study, policy, 1, reach=120).homes, servers=120, failed=6, count=4000, seed=1)
    print(
        f"{name:9}: {np.mean(lost > 0):.2%} of outages lose anything, {lost[lost > 0].mean():5.1f} files then, {lost.mean():.3f} on average"
    )

# %% [markdown]
# Fewer copysets make losses rarer and larger; the mean is the same.
#
# ## Repair speed and redundancy (OSDI 2010)
#
# Ford et al. say that repair ten times as fast makes three copies live a hundred times as long, and a code of nine out of
# thirteen ten thousand times: the gain is ten to the number of failures that are survived. By the exact chain:

# %%
from tahoe.theory.markov import mean_time_to_loss
from tahoe.theory.stripes import parallel, share_chain


def life(needed: int, made: int, speed: float) -> float:
    """Mean time to loss, with servers that fail once in a million."""
    return mean_time_to_loss(share_chain(needed, made, 1e-6, parallel(speed))).duration


for needed, made in ((1, 3), (9, 13)):
    print(f"{needed} of {made}: {life(needed, made, 10) / life(needed, made, 1):.1f} times as long")

# %% [markdown]
# ## Is the binomial true of real programs?
#
# The number that Tahoe-LAFS quotes for 3-of-10 at 90 % is 3.74e-7. No run of the real client would ever show it; but at
# worse odds its downloads can be counted, and the formula holds where they can be:

# %%
from experiments.availability import Point, out_of_reach, run

figure_rows = []
for down in (0.5, 0.6, 0.7, 0.8, 0.9):
    (row,) = run(Point(3, 10, down, runs=60, file_size=500, confidence=0.999), seed=1)
    figure_rows.append(row)
    print(
        f"servers down {down:.0%}: {row.unavailable:2} of {row.runs} downloads failed, {60 * row.exact:5.1f} expected"
    )
print(f"and at 10 %: {out_of_reach(3, 10, 0.1):.3e}")

# %%
from experiments.framework.plotting import LOOKS, panels

figure, (axes,) = panels(height=2.8)
fine = [step / 200 for step in range(20, 200)]
axes.plot(fine, [out_of_reach(3, 10, down) for down in fine], color=LOOKS[0].color, label="binomial")
axes.errorbar(
    [row.down for row in figure_rows],
    [row.unavailable / row.runs for row in figure_rows],
    yerr=[
        [row.unavailable / row.runs - row.low for row in figure_rows],
        [row.high - row.unavailable / row.runs for row in figure_rows],
    ],
    fmt="s",
    color=LOOKS[3].color,
    label="the real client, 99.9 % intervals",
)
axes.set(xlabel="probability that a server is down", ylabel="downloads that fail", ylim=(0, 1))
axes.legend()
caption = "Failed downloads of the real client against the binomial distribution, 3-of-10"

# %% [markdown]
# The afternoon is not over. `python -m experiments list` has more questions, and each of them is a file that can be copied and
# changed.
