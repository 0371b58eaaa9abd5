"""Framework: what every experiment needs besides its question: configuration, sweep, results, figures.

An experiment is a module that holds one question. Everything around it is the same for all, and is here::

    defaults ─ QUICK ─ TOML ─ --set          points(configuration)       rows.jsonl   (stop, resume)
             configuration  ────────────────►  one task a point  ───────►  data.csv
                                              run(point, seed)            NAME.png, NAME.svg
             seed           ────────────────►  on all cores               manifest.json ──┐
                  ▲                                                                       │
                  └──────────────────  run --from manifest.json: the same bytes  ◄────────┘

The one rule that carries the rest: **``run`` is pure in the seed**. A point's seed depends on the study's seed and on
what the point *is*, not on its place in the list nor on who computes it. So the rows are the same with any number of
workers, after any number of interruptions, and when other points are added.

``experiment`` finds and loads experiments, ``configuration`` builds and checks what they are run with, ``study`` joins
the two with a seed, ``sweep`` computes points on many cores, ``folder`` keeps rows and results, ``manifest`` says how
to get them again, ``progress`` tells how long it takes, ``plotting`` makes figures fit for print, ``extras`` imports
packages that a storage grid does without.
"""
