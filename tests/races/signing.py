"""The program of one of several processes that sign tokens and publish keys."""

import json
import sys

import django


def answer(what, *given):
    from django.test import Client

    from passwordless_auth.oidc import keys, tokens

    if what == "sign":
        return tokens.sign({"iss": "http://testserver/", "exp": 2**31}, alg=given[0])
    if what == "publish":
        return [key["kid"] for key in Client().get("/openid/jwks").json()["keys"]]
    if what == "read":
        return tokens.read(given[0]) is not None
    if what == "forget":  # as a process that has begun a moment ago
        return keys.forget()
    return [key.kid for key, _signs_from in keys.rotate(compromised=what == "withdraw")]


def main():
    django.setup()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
