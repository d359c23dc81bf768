"""The app's server: whom it answers, what it lets a browser do, and what it leaves behind."""

import http.client
import json
import signal
import socket
import urllib.parse

import app_server
import pytest

pytest.importorskip("gradio")
pytest.importorskip("skimage")
pytest.importorskip("typer")
from densecrf import cli
from densecrf.app.loading import MAX_BYTES
from densecrf.app.server import is_loopback


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a page that runs, as host and port."""
    with app_server.running(tmp_path_factory.mktemp("app")) as (_, address):
        yield urllib.parse.urlsplit(address)


def ask(server, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection(server.hostname, server.port, timeout=app_server.PATIENCE)
    connection.request(method, path, body, headers={name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_it_listens_on_loopback_alone(server):
    assert server.hostname == "127.0.0.1"


def test_the_browser_may_ask_nobody_else(server):
    answer, content = ask(server)
    assert answer.status == 200
    assert b"densecrf" in content
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_a_page_elsewhere_cannot_read_it_under_another_name(server):
    answer, _ = ask(server, Host="example.org")
    assert answer.status == 400


@pytest.mark.parametrize(
    "origin", ["http://example.org", "null", "http://127.0.0.1:1", "https://127.0.0.1.example.org"]
)
def test_a_page_elsewhere_can_neither_read_nor_upload_nor_call(server, origin):
    form = {"Content_Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.npy"\r\n\r\n\r\n--x--\r\n'
    for method, path, content, more in (
        ("GET", "/", None, {}),
        ("POST", "/gradio_api/upload", body, form),
        ("POST", "/gradio_api/queue/join", b"{}", {"Content_Type": "application/json"}),
    ):
        answer, _ = ask(server, method, path, content, Origin=origin, **more)
        assert answer.status == 403
        assert answer.headers.get("access-control-allow-origin") is None
    assert ask(server, "POST", "/gradio_api/upload", body, Origin=f"http://{server.netloc}", **form)[0].status == 200


def test_analytics_are_off_and_no_api_is_offered(server):
    _, content = ask(server, path="/config")
    config = json.loads(content)
    assert not config["analytics_enabled"]
    assert not config.get("footer_links")
    assert config["max_file_size"] == MAX_BYTES
    assert not [call for call in config["dependencies"] if call["api_visibility"] == "public"]


def test_files_of_this_machine_are_not_served(server):
    for path in ("/etc/hostname", __file__, "../../../../etc/hostname", "http://example.org/a.png"):
        answer, _ = ask(server, path=f"/gradio_api/file={path}")
        assert answer.status in (403, 404)
    for path in ("/static/../../../../etc/hostname", "/assets/..%2f..%2f..%2f..%2fetc/hostname"):
        assert ask(server, path=path)[0].status in (403, 404)


def test_nobody_is_asked_for_somebody_else(server):
    assert ask(server, path="/gradio_api/proxy=http://example.org/")[0].status == 400


def call(server, event, *last):
    """Calls the handler of an event, as the page does, with the last of its inputs instead of what is on the page.

    Gives the message with which it ends.
    """
    config = json.loads(ask(server, path="/config")[1])
    values = {component["id"]: component["props"].get("value") for component in config["components"]}
    handler = next(each for each in config["dependencies"] if each["targets"][0][1] == event)
    data = [values.get(component) for component in handler["inputs"]]
    data[len(data) - len(last) :] = last
    body = json.dumps({"data": data, "fn_index": handler["id"], "session_hash": "session"})
    answer, content = ask(server, "POST", "/gradio_api/queue/join", body, Content_Type="application/json")
    assert answer.status == 200, content
    _, events = ask(server, path="/gradio_api/queue/data?session_hash=session")
    messages = [json.loads(line.removeprefix(b"data: ")) for line in events.splitlines() if line]
    return next(message for message in messages if message["msg"] == "process_completed")


def uploaded(path):
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def test_only_what_was_uploaded_is_opened(server, tmp_path):
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "private.png")
    assert call(server, "load")["success"]
    done = call(server, "upload", uploaded(tmp_path / "private.png"))
    assert not done["success"]
    assert "not uploaded" in done["output"]["error"]
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="../../a.png"\r\n\r\n'
    body += (tmp_path / "private.png").read_bytes() + b"\r\n--x--\r\n"
    _, content = ask(server, "POST", "/gradio_api/upload", body, Content_Type="multipart/form-data; boundary=x")
    (place,) = json.loads(content)
    assert "densecrf-app-" in place
    assert ".." not in place
    assert call(server, "upload", uploaded(place))["success"]


def test_nothing_is_fetched_for_a_visitor(server):
    done = call(server, "upload", uploaded("http://example.org/a.png"))
    assert not done["success"]
    assert "fetched from nowhere" in done["output"]["error"]


def test_an_upload_that_is_too_large_is_cut_off(server):
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.npy"\r\n\r\n'
    body = head + bytes(MAX_BYTES + 1) + b"\r\n--x--\r\n"
    try:
        answer, _ = ask(server, "POST", "/gradio_api/upload", body, Content_Type="multipart/form-data; boundary=x")
        assert answer.status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it hung up before everything was sent
    assert ask(server)[0].status == 200


def test_nothing_is_left_behind(tmp_path):
    with app_server.running(tmp_path) as (process, _):
        assert list(tmp_path.iterdir())
    assert process.returncode == 0
    assert not list(tmp_path.iterdir())


def test_another_address_than_loopback_comes_with_a_warning(tmp_path):
    with app_server.running(tmp_path, "--host", "0.0.0.0") as (process, _):
        process.errors.seek(0)
        assert "there is no password" in process.errors.read()


def test_a_server_that_has_ended_leaves_no_handler_behind():
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cli.main(["app", "--port", str(taken.getsockname()[1]), "--no-browser"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_that_is_taken_is_a_sentence(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cli.main(["app", "--port", str(taken.getsockname()[1]), "--no-browser"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("densecrf app: ")
    assert "in use" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.5", False), ("example.org", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host, local):
    assert is_loopback(host) == local
