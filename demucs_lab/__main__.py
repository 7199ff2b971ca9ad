"""`python -m demucs_lab ...`"""

import sys

from demucs_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
