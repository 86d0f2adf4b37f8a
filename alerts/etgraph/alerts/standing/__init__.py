"""Rules that a store keeps for a team, and the alerts that stand: raised by a trace, resolved by a later one.

`rule_sets` are what is asked, of which workloads and beside which baseline. `evaluating` checks a trace by them and
keeps what came of it: `evaluation`, and an `alert` for each rule that is not satisfied. `settling` says which alerts a
later trace settles, `silences` which are not to be heard for a while. `keeping` has them in a store's records.
A team is its name, or "" for nobody's; where several may be meant, None is all of them.
"""
