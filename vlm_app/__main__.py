"""`python -m vlm_app` is the command `vlm-app`."""

import sys

from vlm_app.cli import main

sys.exit(main())
