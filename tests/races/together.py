"""Things done at one moment, by threads of this process."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from django.db import connection, connections
from django.db.models.signals import pre_save

from passwordless_auth.models import SignIn
from tests.conftest import Browser


def together(jobs):
    """Begin all jobs at one moment, each in a thread with a database connection of its own. Their results, in order."""
    jobs = list(jobs)
    gate = threading.Barrier(len(jobs))

    def run(job):
        try:
            connection.ensure_connection()
            gate.wait(60)
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [running.result() for running in [pool.submit(run, job) for job in jobs]]


def in_the_middle_of(request_that_signs_in, then, *, is_new=True):
    """Do something while a sign-in (or, not new, its confirmation) is in the middle of its transaction: what proves is
    spent, the session not yet made. The sign-in's answer, and what the other gave."""
    spent, go_on = threading.Event(), threading.Event()

    def pause(sender, instance, **kwargs):
        if instance._state.adding == is_new:
            spent.set()
            go_on.wait(30)

    def interfere():
        assert spent.wait(30)
        timer = threading.Timer(0.3, go_on.set)  # by then it is done, or waits for the sign-in
        timer.start()
        try:
            return then()
        finally:
            timer.join()

    pre_save.connect(pause, sender=SignIn)
    try:
        return together([request_that_signs_in, interfere])
    finally:
        pre_save.disconnect(pause, sender=SignIn)


def meeting(function):
    """The same function; but of two threads that call it, neither goes on before the other is there. Where only one
    can be, because a database has one writer at a time, it goes on after a while."""
    gate = threading.Barrier(2)

    def wait_for_the_other(*args, **kwargs):
        with suppress(threading.BrokenBarrierError):
            gate.wait(1)
        return function(*args, **kwargs)

    return wait_for_the_other


def ready(browser):
    """Make a browser fit for a race: an error becomes a 500, and the first request has nothing left to load."""
    browser.raise_request_exception = False
    browser.handler.load_middleware()
    return browser


def tabs(browser, number):
    """The same browser, so many times: each with the cookies that it has now."""
    twins = [ready(Browser()) for _ in range(number)]
    for twin in twins:
        twin.cookies = copy.deepcopy(browser.cookies)
    return twins


def signed_in(responses):
    """The answers that carry the cookie of a session in which somebody is signed in."""
    found = []
    for response in responses:
        if "sessionid" in response.cookies:
            visitor = Browser()
            visitor.cookies["sessionid"] = response.cookies["sessionid"].value
            if visitor.who()["authenticated"]:
                found.append(response)
    return found
