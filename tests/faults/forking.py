"""A program that forks while it sends, as a server does that loads the site first and forks its workers then.

Says what came of it: what the parent and the child sent.
"""

import json
import os
import signal
import time

import django


def start(address):
    from django.test import Client

    return Client().post("/login/", {"identifier": address}).status_code


def main():
    django.setup()
    from django.db import connections

    from passwordless_auth.outbox import sender

    print(json.dumps("ready"), flush=True)
    assert start("parent@example.com") == 303
    assert sender.join(20)
    connections.close_all()
    # A thread that is inside SQLite would leave the child SQLite's own locks, which no Python can take back: that is
    # why nobody forks while work is going on. It has looked once for more to do, and waits at the queue again.
    while sender._sweeping or not sender._swept_at:
        time.sleep(0.01)
    time.sleep(0.2)

    # At the worst moment: a thread of the parent is just looking into the queue. The child has its lock, and not it.
    sender._lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        ok = start("child@example.com") == 303 and sender.join(15)
        os._exit(0 if ok else 1)
    sender._lock.release()
    _pid, status = os.waitpid(child, 0)
    ok = start("parent-again@example.com") == 303 and sender.join(20)
    print(json.dumps({"child": os.waitstatus_to_exitcode(status), "parent": ok}), flush=True)


if __name__ == "__main__":
    main()
