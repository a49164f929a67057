"""Prints the JSON schema of experiment files, by which an editor completes, explains and checks them.

vae-lab schema > experiment.schema.json

A file is checked by it where its first line is `# yaml-language-server: $schema=` and the schema's path.
"""

import json

from vae_lab.console.command import Words, command
from vae_lab.study.schema import experiment_schema


def schema(words: Words) -> int:
    """Prints the schema, with the options that there are here."""
    print(json.dumps(experiment_schema(), indent=1))
    return 0


main = command(schema, __doc__)
