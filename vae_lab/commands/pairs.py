"""Prints which pairs of options go together, and why the others do not.

vae-lab pairs
"""

import math

from vae_lab.config.compatibility import AXES, combinations, covering_set, illegal_pairs, pairs_of
from vae_lab.config.options import option_names
from vae_lab.console.command import Words, command


def pairs(words: Words) -> int:
    """Prints the illegal pairs, and how many legal ones there are."""
    legal, refusals = combinations()
    refused = illegal_pairs(legal, refusals)
    print("Pairs that no legal combination holds:\n")
    for (one, a, other, b), why in refused.items():
        print(f"{AXES[one]}={a} with {AXES[other]}={b}\n    " + why.replace("\n", "\n    "))
    possible = set().union(*map(pairs_of, legal))
    everything = math.prod(len(option_names(axis)) for axis in AXES)
    print(
        f"\n{len(possible)} legal pairs, {len(refused)} illegal ones. {len(legal)} of {everything} "
        f"combinations over {len(AXES)} axes are legal; {len(covering_set(legal))} of them hold every legal pair."
    )
    return 0


main = command(pairs, __doc__)
