"""Sign people in without passwords: a Django app for magic links, one-time codes and what follows from them."""

__version__ = "0.1.0.dev0"
