"""``manage.py`` of these projects. The checkout comes last on the path: an installed wheel is what is tested."""

import sys
from pathlib import Path

from django.core.management import execute_from_command_line

sys.path.append(str(Path(__file__).parents[2]))
execute_from_command_line(sys.argv)
