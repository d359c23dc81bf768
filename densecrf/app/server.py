"""The page's server: for this machine alone unless asked otherwise; the browser is kept from asking anybody else."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

from densecrf import _sigterm

PORT = 7860
SAME = "'self' data: blob:"
# Scripts and styles inside the page are the toolkit's own, which compiles its templates; nothing comes from elsewhere.
POLICY = (
    f"default-src {SAME}; script-src {SAME} 'unsafe-inline' 'unsafe-eval'; style-src {SAME} 'unsafe-inline'; "
    "object-src 'none'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)

Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Guard:
    """Refuses what pages from elsewhere ask, and adds the headers that keep a browser at home to every answer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Answers one request, as ASGI has it."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        if _from_elsewhere(scope):  # a browser tells of another page, which may send what it cannot read the answer of
            await guarded({"type": "http.response.start", "status": 403, "headers": []})
            await guarded({"type": "http.response.body", "body": b"asked by a page from elsewhere"})
        else:
            await self._app(scope, receive, guarded)


def _from_elsewhere(scope: Message) -> bool:
    """Whether a browser has sent the request for a page of another origin."""
    headers = dict(scope.get("headers", ()))
    origin: bytes | None = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != headers.get(b"host")


def serve(host: str, port: int | None, open_browser: bool) -> None:
    """Serves until interrupted.

    Args:
        host: to bind to.
        port: to bind to; 0 for any; None for the first of a few that is free.
        open_browser: whether to show the page.

    Raises:
        OSError: the address cannot be had.
    """
    with (
        _sigterm.raised(SystemExit),
        _bound(host, port) as listening,
        tempfile.TemporaryDirectory(prefix="densecrf-app-") as folder,
    ):
        address = f"http://{_in_url(host)}:{listening.getsockname()[1]}/"
        if not is_loopback(host):
            print(
                f"densecrf app: whoever reaches {host} can use this page and fill this machine's memory; "
                "there is no password.",
                file=sys.stderr,
            )
        application = make_application(host, Path(folder))
        print(f"densecrf app: {address} (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(address)
        _run(application, listening)


def make_application(host: str, folder: Path) -> Any:
    """The application for ASGI; what it writes goes to the folder, which is the caller's to remove."""
    # Both are read when the toolkit is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from densecrf.app.events import Events
    from densecrf.app.loading import MAX_BYTES
    from densecrf.app.page import Page
    from densecrf.app.style import CSS, theme

    with gr.Blocks(title="densecrf", fill_width=True, analytics_enabled=False, delete_cache=(600, 1800)) as blocks:
        Events(Page(), folder).listen(blocks)
    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if is_loopback(host):  # a page elsewhere whose name leads here must not read this one
        names = ["localhost", "127.0.0.1", "[::1]", _in_url(host)]
        application.add_middleware(TrustedHostMiddleware, allowed_hosts=names)
    application.add_middleware(Guard)
    _stay_home(blocks)
    return gr.mount_gradio_app(
        application,
        blocks,
        path="/",
        server_name=host,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=MAX_BYTES,
        ssr_mode=False,
        pwa=False,
        theme=theme(),
        css=CSS,
    )


def _stay_home(blocks: Any) -> None:
    """Shuts two doors of the toolkit, through which a visitor could have other files opened than uploaded ones."""
    import gradio as gr
    from gradio import processing_utils

    async def refuse(url: str, **_: Any) -> str:
        raise gr.Error("Files are uploaded here, and fetched from nowhere.", print_exception=False)

    blocks.has_launched = True  # or paths in requests go unchecked: a page that is mounted does not count as launched
    processing_utils.async_ssrf_protected_download = refuse


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name
        return False


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens already, so that a browser may come at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port is not None:
        return socket.create_server((host, port), family=family)
    for candidate in range(PORT, PORT + 20):
        try:
            return socket.create_server((host, candidate), family=family)
        except OSError as error:
            last = error
    raise last


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _run(application: Any, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])
