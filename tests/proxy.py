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
        self._open, self._until = True, None
        self._at = None
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
        self._open, self._at = True, None

    def shut_at(self, request, until=None, lost="request", times=1):
        """Shuts when it sees these bytes for so many times: before they arrive, or when their answer comes back."""
        self._at = [request, until, lost, times]

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
                    _, until, lost, _ = self._at
                    self._at = None
                    if lost == "request":
                        self.shut(until)
                        break
                    answers_lost.set()
                    self._lost_until = until
                elif not is_request and answers_lost.is_set():
                    self.shut(self._lost_until)
                    break
                sink.sendall(content)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._connections -= {source, sink}
        source.close()

    def _is_awaited(self, content):
        if self._at is None or self._at[0] not in content:
            return False
        self._at[3] -= 1
        return self._at[3] <= 0
