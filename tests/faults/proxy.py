"""A door before a server, that a test can close and open: the server then seems to be stopped, and started again."""

import socket
import threading
from contextlib import suppress


class Door:
    """Listens on a port of its own and passes everything on, both ways."""

    def __init__(self, host, port):
        self._target = (host, port)
        self._listener = None
        self._sockets = []
        self.port = 0
        self.open()

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=50)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self):
        """Nobody gets in any more, and who is in is thrown out."""
        if self._listener is None:
            return
        # shutdown() first: a thread in accept() would keep a socket open that was only closed.
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._listener = None
        self._sockets.clear()

    def _accept(self, listener):
        while True:
            try:
                inside, _address = listener.accept()
                outside = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [inside, outside]
            for one, other in ((inside, outside), (outside, inside)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one, other):
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
