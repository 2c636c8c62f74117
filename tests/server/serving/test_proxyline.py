"""The PROXY line that tor writes, and the cap on counted answers of one circuit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars_server.serving import proxyline
from mars_server.serving.proxyline import MOST_CIRCUITS, ROTATION, CircuitCap
from tests.server.serving import kit

TOR = b"PROXY TCP6 fc00:dead:beef:4dad::1:2a ::1 65535 80\r\n"


def test_the_line_is_taken_off_and_the_circuit_read() -> None:
    assert proxyline.strip(TOR + b"GET") == (0x1002A, b"GET")


def test_another_program_s_line_goes_too_and_tells_nothing() -> None:
    for line in (b"PROXY TCP4 192.0.2.7 127.0.0.1 5 80\r\n", b"PROXY UNKNOWN\r\n"):
        assert proxyline.strip(line + b"GET") == (None, b"GET")


@pytest.mark.parametrize("rest", [b"PROXY TCP7 x\r\n", b"PROXY \r\n", b"PROXY TCP6 a b c d\r\n"])
def test_what_is_no_line_stays_for_the_parser(rest: bytes) -> None:
    assert proxyline.strip(rest) == (None, rest)


@given(st.binary(max_size=200))
def test_waiting_ends_within_the_longest_line(data: bytes) -> None:
    found = proxyline.strip(data)
    if found is None:
        assert len(data) < proxyline.LONGEST
        return
    circuit, rest = found
    assert data.endswith(rest)
    assert circuit is None or 0 <= circuit < 1 << 32


@pytest.mark.parametrize("cut", [1, len(TOR) - 1])
def test_a_line_may_come_in_pieces(cut: int) -> None:
    with kit.served(unix=True) as server:
        with server.connect() as sock:
            for piece in (TOR[:cut], TOR[cut:] + kit.golden()):
                sock.sendall(piece)
            assert kit.body(kit.read_all(sock)) == server.body
        two = TOR + TOR + kit.golden()
        assert kit.status(server.ask(two)) == 400


def test_the_cap_forgets_and_is_bounded() -> None:
    cap = CircuitCap(3)
    assert [cap.admit(1, 1000.0) for _ in range(5)] == [True, True, True, False, False]
    assert cap.admit(2, 1000.0)
    assert not cap.admit(1, 1000.0 + ROTATION)
    assert cap.admit(1, 1000.0 + 3 * ROTATION)
    for circuit in range(MOST_CIRCUITS * 3):
        assert cap.admit(circuit + 10, 9000.0)
    assert len(cap._recent) + len(cap._older) <= 2 * MOST_CIRCUITS
