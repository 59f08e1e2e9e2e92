"""The program of one of several processes that start sign-ins, many at one moment."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import django

THREADS = 8


def start(address, ip):
    from django.test import Client

    browser = Client(REMOTE_ADDR=ip, raise_request_exception=False)
    return browser.post("/login/", {"identifier": address}).status_code


def main():
    django.setup()
    start("no address", "192.0.2.1")  # loads what the first request loads
    with ThreadPoolExecutor(THREADS) as pool:
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            begun = [pool.submit(partial(start, **who)) for who in json.loads(line)]
            print(json.dumps([status.result() for status in begun]), flush=True)


if __name__ == "__main__":
    main()
