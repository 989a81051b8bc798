"""The old service's manage.py. scripts/django starts it; see main.go there."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "old.settings")
execute_from_command_line(sys.argv)
