"""The floor in Python: the cost of passing lines on as they come.

It does what `floor.c` does: an epoll loop passes lines on, with no Trio, no hooks, no log and no limits. The difference
between trichat and this server is the cost of trichat. The difference between this server and the floor is the cost of
Python.
"""

import argparse
import select
import socket

RECEIVE_BYTES = 65_536


class Client:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.name = b""
        self.unfinished = b""
        self.backlog = b""


class Room:
    """All clients, and the lines that they get next."""

    def __init__(self, port: int) -> None:
        self._clients: dict[int, Client] = {}
        self._gathered: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)
        self._poller = select.epoll()
        self._poller.register(self._listener, select.EPOLLIN)

    def serve(self) -> None:
        """Serve until killed."""
        while True:
            for number, event in self._poller.poll():
                if number == self._listener.fileno():
                    self._accept_all()
                elif event & select.EPOLLOUT:
                    self._drain(self._clients[number])
                else:
                    self._receive(self._clients[number])
            if self._gathered:
                self._broadcast()

    def _accept_all(self) -> None:
        try:
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients[sock.fileno()] = Client(sock)
                self._poller.register(sock, select.EPOLLIN)
        except BlockingIOError:
            pass

    def _receive(self, client: Client) -> None:
        try:
            data = client.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return  # the event was for an earlier client with this descriptor
        except OSError:
            data = b""
        if not data:
            self._leave(client)
            return
        *lines, client.unfinished = (client.unfinished + data).split(b"\n")
        for line in lines:
            if client.name:
                self._gathered.append(client.name + b": " + line + b"\n")
            else:
                client.name = line
                self._put(client, b"* welcome, " + line + b"\n")
                self._gathered.append(b"* " + line + b" joined\n")

    def _leave(self, client: Client) -> None:
        del self._clients[client.socket.fileno()]
        client.socket.close()
        self._gathered.append(b"* " + client.name + b" left\n")

    def _broadcast(self) -> None:
        batch = b"".join(self._gathered)
        self._gathered.clear()
        for client in self._clients.values():
            if client.name:
                self._put(client, batch)

    def _put(self, client: Client, data: bytes) -> None:
        if not client.backlog:
            try:
                sent = client.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # the poller reports this, too
            if sent == len(data):
                return
            data = data[sent:]
            self._poller.modify(client.socket, select.EPOLLIN | select.EPOLLOUT)
        client.backlog += data

    def _drain(self, client: Client) -> None:
        try:
            client.backlog = client.backlog[client.socket.send(client.backlog) :]
        except BlockingIOError:
            return
        except OSError:
            client.backlog = b""
        if not client.backlog:
            self._poller.modify(client.socket, select.EPOLLIN)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    Room(parser.parse_args().port).serve()
