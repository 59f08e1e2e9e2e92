"""Somebody at a browser, over HTTP: keeps cookies, follows nothing by itself."""

import http.client
import json
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from tests.conftest import CHROME


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.body = response.read().decode(errors="replace")
        self.cookies = SimpleCookie()
        for header in response.headers.get_all("Set-Cookie") or []:
            self.cookies.load(header)


class Visitor:
    """``port``: of the process that answers; another one may go on where it stopped."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}

    def get(self, path):
        return self._request("GET", path, None)

    def submit(self, path, **data):
        if "csrftoken" not in self.cookies:
            self.get("/login/")
        return self._request("POST", path, urlencode({**data, "csrfmiddlewaretoken": self.cookies["csrftoken"]}))

    def who(self):
        return json.loads(self.get("/login/session.json").body)

    def _request(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "User-Agent": CHROME,
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for name, cookie in answer.cookies.items():
            self.cookies[name] = cookie.value
        return answer
