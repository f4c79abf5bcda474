"""A study in optuna-dashboard, in a browser, also while it is searched: it is read there, and never written.

python -m search.watch results/NAME

The journal has one writer, the search. So every request that would change the study is answered with an error, and the
storage that the dashboard is given cannot write.
"""

import json
import signal
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from search import cli, study
from search.errors import UserError
from search.journal.storage import Reader, file_of

HOST, PORT = "127.0.0.1", 8080
REFUSED = "search.watch shows a study and changes nothing in it"
LARGEST = 2**20
"""Bytes of a request that are read before it is refused."""
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""What WSGI calls an application: from a request, and a function that takes the head of the answer, to its body."""


def application(journal: Path) -> Application:
    """Return the dashboard of a journal. Raises UserError where optuna-dashboard is not installed."""
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise UserError(
            "search.watch needs optuna-dashboard, but it is not installed; pip install optuna-dashboard"
        ) from None
    return _unwritable(wsgi(Reader(journal)))


def _unwritable(app: Application) -> Application:
    """Return the application with every request refused that is not to look at something, or not at this machine."""

    def answer(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        is_local = request.get("HTTP_HOST", "").rpartition(":")[0] in (HOST, "localhost")  # not a name that leads here
        if is_local and request["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(request, start)
        # Unread, what was sent would make the system cut the connection, and the answer would be lost.
        length = request.get("CONTENT_LENGTH") or ""
        request["wsgi.input"].read(min(int(length) if length.isdecimal() else 0, LARGEST))
        body = json.dumps({"reason": REFUSED}).encode()
        start("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


class Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread of its own, since a browser leaves connections open."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a browser may leave in the middle of an answer."""


class Handler(WSGIRequestHandler):
    """Says nothing of the requests: the browser asks every few seconds."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Do nothing."""


def serve(app: Application, port: int | None) -> Server:
    """Return a server that listens on this machine: at the port, or at PORT or else at any that is free.

    Raises UserError where the port is no port, or is not to be had.
    """
    if port is not None and not 1 <= port < 2**16:
        raise UserError(f"port must be in [1, 65535], but got {port}")
    try:
        return make_server(HOST, port or PORT, app, Server, Handler)
    except OSError as error:
        if port is None:
            return make_server(HOST, 0, app, Server, Handler)
        raise UserError(f"port must be free, but at {port}: {error.strerror}; give another with --port") from None


def main(arguments: list[str] | None = None) -> int:
    """Show a study until somebody presses Ctrl-C; return the exit code."""
    console = cli.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = cli.study_parser("search.watch", "Show a study in optuna-dashboard, also while it is searched.")
        parser.add_argument(
            "--port", type=int, metavar="N", help=f"of this machine ({PORT}, or where taken a free one)"
        )
        flags = parser.parse_args(arguments)
        made = study.load(flags.study)
        server = holding.enter_context(serve(application(file_of(made.folder)), flags.port))
        page = f"http://{HOST}:{server.server_port}/dashboard/studies/{made.search._study_id}"

        def action() -> int:
            with suppress(KeyboardInterrupt):
                signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us deaf to it
                console.print(f"{made.name} is at {page} until you press Ctrl-C; nothing can be changed there")
                server.serve_forever()
            return 0

        return action

    return cli.guarded(prepare)


if __name__ == "__main__":
    cli.leave(main())
