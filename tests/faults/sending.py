"""A process that runs ``passwordless_send`` when it is told to, and then says so."""

import json
import sys

import django


def main():
    django.setup()
    from django.core.management import call_command

    print(json.dumps("ready"), flush=True)
    for _line in sys.stdin:
        call_command("passwordless_send", stdout=sys.stderr)
        print(json.dumps("done"), flush=True)


if __name__ == "__main__":
    main()
