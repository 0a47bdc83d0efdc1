from hypothesis import given
from hypothesis import strategies as st
from redis._parsers.encoders import Encoder
from redis.asyncio.connection import Connection

from monitor.store.resp import LARGE, packed

ARGUMENTS = st.one_of(st.binary(), st.text(st.characters(exclude_categories=["Cs"])), st.integers())


def by_the_client(commands):
    connection = Connection()
    assert isinstance(connection.encoder, Encoder)
    return b"".join(connection.pack_commands(commands))


# The client takes a first argument with a space for two.
@given(st.lists(st.builds(lambda name, rest: [name, *rest], st.sampled_from(["SET", "XADD"]), st.lists(ARGUMENTS))))
def test_commands_are_written_as_the_client_writes_them(commands):
    assert b"".join(packed(commands)) == by_the_client(commands)


def test_large_data_is_not_copied():
    data = bytes(LARGE)
    pieces = packed([["SET", "key", data], ["PING"]])
    assert any(piece is data for piece in pieces)
    assert b"".join(pieces) == by_the_client([["SET", "key", data], ["PING"]])
