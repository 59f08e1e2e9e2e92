"""The running example of passwordless_auth: a small site with members, and an inbox that shows what it sends."""
