#!/usr/bin/env python
"""Builds the review workspace and a report of a W&B project.

python scripts/wandb_workspace.py --entity TEAM --project mmdl --task vqa
python scripts/wandb_workspace.py --task vqa --print      # what it would have, without an account
"""

import sys

from mmdl.review.workspace import main

if __name__ == "__main__":
    sys.exit(main())
