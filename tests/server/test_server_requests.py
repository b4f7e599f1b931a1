"""Requests of the server to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.errors import ClientFailed
from accountd.protocol.account import ChatgptAuthTokensRefreshParams
from accountd.protocol.methods import REFRESH_TOKENS
from accountd.server.server_requests import ServerRequests

if TYPE_CHECKING:
    import trio.testing


async def test_a_question_that_was_given_up_is_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    """A client that never answers, and stays, costs nothing for each question."""
    sent: list[bytes] = []
    questions = ServerRequests(sent.append)
    for _ in range(2):
        with pytest.raises(ClientFailed, match="timed out after 1s"):
            await questions.ask(REFRESH_TOKENS, ChatgptAuthTokensRefreshParams(None), timeout=1)
    assert len(sent) == 2
    assert questions._pending._waiting == {}
