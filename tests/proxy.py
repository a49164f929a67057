"""A TCP proxy before a real server, which goes away when it sees a request and comes back by what it is asked."""

import contextlib
import socket
import struct
import threading


class Proxy:
    """Listens on a port of its own and hands on to a server's; shut, it breaks off whatever connects, and counts it.

    Args:
      target: the server's port.
    """

    def __init__(self, target):
        self.target = target
        self.refused = 0  # connections while it was shut, in all
        self.outages = 0
        self.awaited = {}  # by moment, the bytes of a request that it will shut at
        self._open, self._until = True, None
        self._at_until, self._lost = None, "request"
        self._lock = threading.Lock()
        self._connections = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def shut(self, until=None):
        """Breaks everything off, until so many connections have been refused, or `open`."""
        with self._lock:
            self._open, self._until = False, None if until is None else self.refused + until
            self.outages += 1
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def open(self):
        """Hands on again."""
        self._open, self.awaited = True, {}

    def shut_at(self, moments, until=None, lost="request"):
        """Shuts once at each moment, when it sees its bytes: before they arrive, or when their answer comes back.

        Args:
          moments: bytes of a request, by name.
          until: of each outage, as of `shut`.
          lost: "request" or "answer".
        """
        self.awaited, self._at_until, self._lost = dict(moments), until, lost

    def close(self):
        self.shut()
        self._listening.close()

    def _listen(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    self.refused += 1
                    self._open = self._until is not None and self.refused >= self._until
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target))
                self._connections |= {client, server}
            answers_lost = threading.Event()
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._hand_on, args=(*pair, answers_lost), daemon=True).start()

    def _hand_on(self, source, sink, is_request, answers_lost):
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 20):
                if is_request and self._is_awaited(content):
                    if self._lost == "request":
                        self.shut(self._at_until)
                        break
                    answers_lost.set()
                elif not is_request and answers_lost.is_set():
                    self.shut(self._at_until)
                    break
                sink.sendall(content)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._connections -= {source, sink}
        source.close()

    def _is_awaited(self, content):
        with self._lock:
            moment = next((name for name, request in self.awaited.items() if request in content), None)
            return self.awaited.pop(moment, None) is not None
