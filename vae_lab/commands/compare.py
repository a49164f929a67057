"""Shows in what two runs differ: settings, code, data and environment; and by how much their metrics do.

vae-lab compare RUN_ID OTHER_RUN_ID
vae-lab compare RUN_ID OTHER_RUN_ID tracking.uri=sqlite:////path/mlflow.db

The beginning of an id is enough. Differences are the first run minus the second; their 95% intervals are over images,
of runs that scored the same ones: of these trained models, which says nothing of other seeds.
"""

import sys

from vae_lab.console.command import Words, command


def compare(words: Words) -> int:
    """Compares; see above."""
    if len(words.names) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    from vae_lab.config.compose import default_tracking_uri
    from vae_lab.report.two_runs import two_runs
    from vae_lab.tracking.store import open_store

    two_runs(open_store(words.given.get("tracking.uri") or default_tracking_uri()), *words.names).show()
    return 0


main = command(compare, __doc__, ("tracking.uri",), names=True)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
