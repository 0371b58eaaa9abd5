"""Theory: closed forms of availability and durability, one documented function per question.

Everything here is pure and needs only the standard library, so that a running node (its caretaker, its provisioning
page) can ask the same functions as an experiment does. Counts of surviving shares are exact integers and fractions;
where exponentials come in, ``expm1`` and ``log1p`` keep the digits. Nothing is ever computed as one minus a float.

==================  ==================================================================================
module              questions it answers
==================  ==================================================================================
``numbers``         what is meant by the probability 0.9 (nine tenths, exactly)
``counts``          how many shares survive: exact distributions, sums of groups, common causes
``availability``    is a file there now: k of N, unequal servers, draws without replacement, components in a row
``groups``          shares that stand or fall together: several on a server, sites with causes of their own
``replicas``        how many copies or shares a target takes; copies that are made and lost at constant rates
``markov``          any chain of failures and repairs: mean time to loss, loss within a mission
``stripes``         the chains of k-of-N files under five ways of repair
``raid``            the classical approximations for RAID
``epochs``          repair in sweeps: everything is looked at every so often
``copysets``        a few servers die at once: how likely is any loss, and how large
``magnitude``       how much of the data is lost (NOMDL), the headline beside a probability
``confidence``      what a number of simulated runs proves
==================  ==================================================================================

The assumption behind all of them is stated in each docstring; mostly it is independence. Real grids are worse.
"""
