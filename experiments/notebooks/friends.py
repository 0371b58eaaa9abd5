"""How many friends do I need?"""

# %% [markdown]
# # How many friends do I need?
#
# You want to keep your photographs on the machines of friends. How many friends, how many of them must be there when you want
# to look, and what happens over the years? Three questions, each answered twice: by a formula, and by letting it happen.
#
# ## Tonight
#
# A friend's machine is up seven times in ten. With copies, so many friends are needed for a file that is out of reach less
# than once in ten thousand evenings:

# %%
from tahoe.theory.replicas import replicas_for, shares_for

print(f"copies: {replicas_for(1e-4, 0.7):.1f} friends, and as many times the space")
for needed in (1, 3, 5, 10):
    friends = shares_for(needed, 1e-4, 0.7)
    print(f"any {needed:2} of {friends:2} shares: {friends:2} friends, {friends / needed:.1f} times the space")

# %% [markdown]
# Cut into shares, of which any three give the file back, it needs thirteen friends, but only 4.3 times its size instead of
# eight. Let us not believe it, and store a file with the real client on thirteen simulated friends; then ask for it on three
# hundred evenings, with machines up and down by the dice.

# %%
from random import Random

from tahoe.errors import NotEnoughShares
from tahoe.protocol import Encoding
from tahoe.sim import GridOptions, SimGrid
from tahoe.theory.availability import loss


def evenings(needed: int, friends: int, count: int = 300, seed: int = 1) -> int:
    """On how many evenings the file did not come."""
    options = GridOptions(fidelity="message", encoding=Encoding(needed, friends, friends))
    grid, rng, missed = SimGrid(seed, servers=friends, options=options), Random(seed), 0
    capability = grid.upload(b"a photograph" * 100)
    for _ in range(count):
        down = [f"server-{number}" for number in range(friends) if rng.random() < 0.3]
        grid.crash(*down)
        try:
            grid.download(capability)
        except NotEnoughShares:
            missed += 1
        grid.restart(*down)
        grid.run(1.0)
    return missed


for needed, friends in ((3, 5), (3, 7), (3, 13)):
    print(
        f"{needed} of {friends}: {evenings(needed, friends)} of 300 evenings, {300 * loss(needed, friends, 0.7):.2f} expected"
    )

# %% [markdown]
# ## Over the years
#
# Disks die, after four years on average, and are replaced by empty ones. If nobody makes lost shares anew, files melt away:

# %%
from tahoe.theory.epochs import loss_without_repair
from tahoe.theory.markov import loss_within
from tahoe.theory.stripes import jump, share_chain

for years in (1, 5, 10):
    print(f"after {years:2} years without repair {loss_without_repair(3, 13, 4, years):.1e} of the files are lost")
print(f"and with a check every month, after 10 years: {loss_within(share_chain(3, 13, 1 / 4, jump(12)), 10):.1e}")

# %% [markdown]
# That last number is so small that no simulation would ever show it, unless the dice are loaded, which `tahoe.sim.rare` does
# and takes back in the weights. The rule that decides here is the caretaker's own:

# %%
from tahoe.policy.repair import AT_ONCE
from tahoe.sim.montecarlo import Caretaker
from tahoe.sim.rare import Stripe, by_rule, rare_loss

rule = by_rule(Caretaker(AT_ONCE, needed=3, total=13), 13, 12)
found = rare_loss(Stripe(3, (1 / 4,) * 13, rule), cycles=60_000, bias=0.9)
ten_years = found.within(10)
print(f"{ten_years.estimate:.1e}, between {ten_years.low:.1e} and {ten_years.high:.1e} at 99.9 %")

# %% [markdown]
# ## What really happens to friends
#
# They move house, they have the same power company, they all go on holiday in July. So let a grid live through ten rough
# years, with five to twenty friends, each file on as many as there are:

# %%
from tahoe.policy.repair import RepairRule
from tahoe.sim import weather, worlds
from tahoe.sim.estimates import judge
from tahoe.sim.laws import Exponential
from tahoe.sim.montecarlo import Checks, Code, Rules, Study, run
from tahoe.sim.weather import DAY, YEAR
from tahoe.theory.confidence import mean_interval

storms = (*weather.rough(), weather.power_outages(Exponential(YEAR), Exponential(DAY), never_return=0.03))
rows = []
for friends in (4, 5, 6, 7, 10, 13, 20):
    total = min(friends, 13)
    study = Study(worlds.friendnet(friends).locations(), 40, storms, 10 * YEAR, Code(3, total))
    rules = Rules(repair=Caretaker(RepairRule(0.5), 3, total), checks=Checks(30 * DAY))
    outcomes = [run(study, rules, seed) for seed in range(12)]
    lost = judge([outcome.lost for outcome in outcomes], study.files, confidence=0.95)
    away = mean_interval([outcome.unreadable / outcome.checked for outcome in outcomes], confidence=0.95)
    rows.append((friends, lost, away))
    print(f"{friends:2} friends, 3 of {total:2}: out of reach {away.estimate:.2%} of the time; lost: {lost}")

# %%
from experiments.framework.plotting import LOOKS, panels

figure, (left, right) = panels(columns=2, height=2.8)
seen = [row for row in rows if row[1].lost]
unseen = [row for row in rows if not row[1].lost]
left.errorbar(
    [row[0] for row in seen],
    [row[1].per_file.estimate for row in seen],
    yerr=[
        [row[1].per_file.estimate - row[1].per_file.low for row in seen],
        [row[1].per_file.high - row[1].per_file.estimate for row in seen],
    ],
    fmt="D",
    color=LOOKS[3].color,
)
left.plot(
    [row[0] for row in unseen],
    [row[1].per_file.high for row in unseen],
    "v",
    color=LOOKS[3].color,
    label="never seen: bound",
)
left.set(xlabel="friends", ylabel="files lost in ten years", yscale="log")
left.legend(loc="lower right")
right.errorbar(
    [row[0] for row in rows],
    [row[2].estimate for row in rows],
    yerr=[row[2].half_width() for row in rows],
    fmt="^",
    color=LOOKS[2].color,
)
right.set(xlabel="friends", ylabel="part of the time out of reach", yscale="log", ylim=(1e-3, 1))
caption = "Loss and unavailability against the number of friends, in rough weather, with 95 % intervals"

# %% [markdown]
# Independent failures promised seven nines; rough weather keeps fewer. Losses end with the sixth or seventh friend. What does
# not end, however many friends there are, is a quarter of a per cent: that is the power outage, about a day a year, which
# takes everybody at once, and against which only friends with another power company help. So: ten friends in ten houses,
# not all in one town, three shares needed, and a caretaker that looks every month.
