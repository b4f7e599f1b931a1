"""The client's side of a WebSocket, against our own server's side, and those of two other makers."""

from __future__ import annotations

import itertools

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.server import ServerProtocol
from wsproto import events as ws

from accountd.framing.base import Ended, Event, Message, Reply
from accountd.framing.text_frame import MAX_FRAME
from accountd.framing.websocket import WebSocketClientFraming, WebSocketFraming
from fakes.frames import CLOSE, CONTINUATION, LIMIT, PING, PONG, TEXT, bytewise, close_code, frame


def opened(limit: int = LIMIT) -> tuple[WebSocketClientFraming, WebSocketFraming]:
    """Give both of our sides, which have shaken hands."""
    client, server = WebSocketClientFraming(limit), WebSocketFraming(limit)
    [accepted] = server.receive(client.open())
    assert isinstance(accepted, Reply)
    assert client.receive(accepted.data) == []
    return client, server


def test_our_two_sides_understand_each_other() -> None:
    """Messages of any size up to the limit, pings and the close go either way."""
    client, server = opened(largest := 200_000)
    for size in (0, 125, 126, 65535, 65536, largest):
        message = b"x" * size
        assert server.receive(client.send(message)) == [Message(message)]
        assert client.receive(server.send(message)) == [Message(message)]
    for here, there in ((client, server), (server, client)):
        [pong] = there.receive(here.ping())
        assert isinstance(pong, Reply)
        assert here.receive(pong.data) == []
    assert server.receive(client.close()) == [Ended()]
    assert client.receive(server.close()) == [Ended()]
    assert client.send(b"{}") == client.close() == client.ping() == b""


def test_nothing_is_sent_before_the_answer() -> None:
    """What is not open can say nothing, not even good-bye."""
    client = WebSocketClientFraming()
    assert client.open().startswith(b"GET /rpc HTTP/1.1\r\n")
    assert not client.is_open
    assert client.send(b"{}") == client.ping() == client.close() == b""


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the answer is 404 Not Found"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "another request",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "Bad HTTP message"),
        (b"x" * 17_000, "the answer's head is larger than 16384 bytes"),
        (b"HTTP/1.1 101", "the answer breaks off"),
    ],
)
def test_an_answer_that_is_none_ends_it(answer: bytes, complaint: str) -> None:
    """Once, with what was wrong; nothing can be sent then."""
    client = WebSocketClientFraming()
    [ended] = [event for piece in (answer, b"", b"") for event in client.receive(piece)]
    assert isinstance(ended, Ended)
    assert str(ended.complaint).startswith("not a WebSocket answer: ")
    assert str(ended.complaint).endswith(complaint)
    assert client.send(b"{}") == client.close() == b""


@given(st.lists(st.tuples(st.text(max_size=200), st.integers(1, 4)), max_size=6), st.data())
def test_a_wsproto_server_is_understood_however_its_bytes_are_cut(
    texts: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Fragments, pings between them, and the answer to the upgrade in one piece with what follows, or not."""
    client, server = WebSocketClientFraming(LIMIT * 4), wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    server.receive_data(client.open())
    stream = server.send(ws.AcceptConnection())
    for text, parts in texts:
        size = len(text) // parts + 1
        fragments = [text[start : start + size] for start in range(0, len(text), size)] or [""]
        for index, fragment in enumerate(fragments, start=1):
            stream += server.send(ws.TextMessage(fragment, message_finished=index == len(fragments)))
            stream += server.send(ws.Ping(b"?"))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(stream)), max_size=10)))
    ends = itertools.pairwise([0, *cuts, len(stream)])
    events: list[Event] = [event for a, b in ends if a < b for event in client.receive(stream[a:b])]
    assert [event for event in events if not isinstance(event, Reply)] == [Message(t.encode()) for t, _ in texts]
    server.receive_data(b"".join(event.data for event in events if isinstance(event, Reply)))
    assert {type(event) for event in server.events()} <= {ws.Request, ws.Pong}


def test_the_library_websockets_understands_it() -> None:
    """The upgrade, messages above and below what one frame may have, a ping, and a close that is answered."""
    server, client = ServerProtocol(max_size=None), WebSocketClientFraming(3 * MAX_FRAME)
    server.receive_data(client.open())
    [request] = server.events_received()
    assert request.path == "/rpc"  # type: ignore[union-attr]  # it is a Request, which is not in the library's type
    server.send_response(server.accept(request))  # type: ignore[arg-type]  # as above
    assert client.receive(b"".join(server.data_to_send())) == []

    server.receive_data(client.send('{"é":1}'.encode()) + client.send(b"x" * (MAX_FRAME + 5)) + client.ping())
    frames = server.events_received()
    assert [frame.opcode for frame in frames] == [Opcode.TEXT, Opcode.TEXT, Opcode.CONT, Opcode.PING]  # type: ignore[union-attr]  # as above
    assert [len(frame.data) for frame in frames] == [8, MAX_FRAME, 5, 0]  # type: ignore[union-attr]  # as above

    server.send_text(b"x" * (2 * MAX_FRAME))  # in one frame, which is taken
    server.send_ping(b"?")
    server.send_close(1001, "going")
    message, pong, ended = client.receive(b"".join(server.data_to_send()))
    assert message == Message(b"x" * (2 * MAX_FRAME))
    assert ended == Ended()
    assert isinstance(pong, Reply)
    server.receive_data(pong.data + client.close())
    server.receive_eof()
    assert server.close_code == 1001


BROKEN = {
    "masked": (frame(TEXT, b"{}"), 1002),
    "reserved bits": (frame(TEXT, b"{}", reserved=4, masked=False), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"{}", masked=False), 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xff", masked=False), 1007),
    "over the limit": (frame(TEXT, b"x" * (LIMIT + 1), masked=False), 1009),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_of_a_servers_ends_the_connection_with_its_code(data: bytes, code: int) -> None:
    """What came before it counts, and the farewell is masked as all that a client says."""
    for pieces in ([data], bytewise(data)):
        client, server = opened()
        events = [event for piece in [server.send(b"1"), *pieces] for event in client.receive(piece)]
        assert events[0] == Message(b"1")
        assert isinstance(events[1], Ended)
        farewell = client.close()
        assert farewell[1] & 0x80
        key, payload = farewell[2:6], farewell[6:]
        bare = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
        assert close_code(bytes((0x80 | CLOSE, len(bare))) + bare) == code


def test_a_pong_and_a_long_message_leave_the_short_way_as_it_is() -> None:
    """A message of many megabytes is put together from its pieces without looking at each again."""
    client, _ = opened(64 << 20)
    whole = frame(PONG, b"!", masked=False) + frame(TEXT, b"y" * (40 << 20), masked=False)
    events = [
        event for start in range(0, len(whole), 65536) for event in client.receive(whole[start : start + 65536])
    ]
    assert [len(event.payload) for event in events if isinstance(event, Message)] == [40 << 20]
    assert client.held == 0
    assert client.receive(frame(TEXT, b"1", masked=False)) == [Message(b"1")]
    [pong] = client.receive(frame(PING, b"?", masked=False))
    assert isinstance(pong, Reply)
