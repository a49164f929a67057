"""`vae-lab schema`, of this checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vae_lab.commands.schema import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
