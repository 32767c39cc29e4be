import socket

import pytest

from core.errors import BusyError
from core.process.listening import bind_port, url_of


def test_the_wished_port_is_taken_when_it_is_free() -> None:
    with bind_port("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]

    with bind_port("127.0.0.1", port) as listener:
        assert listener.getsockname()[1] == port
        assert url_of(listener) == f"http://127.0.0.1:{port}"


def test_the_port_used_last_time_comes_before_a_new_one() -> None:
    with bind_port("127.0.0.1", 0) as probe:
        last = probe.getsockname()[1]
    with bind_port("127.0.0.1", 0) as other:
        wished = other.getsockname()[1]

        with bind_port("127.0.0.1", wished, last_used=last) as listener:
            assert listener.getsockname()[1] == last


def test_any_port_means_last_time_s_when_that_is_free() -> None:
    with bind_port("127.0.0.1", 0) as probe:
        last = probe.getsockname()[1]

    with bind_port("127.0.0.1", 0, last_used=last) as listener:
        assert listener.getsockname()[1] == last


def test_a_busy_port_gives_the_next_free_one() -> None:
    with bind_port("127.0.0.1", 0) as other:
        wished = other.getsockname()[1]

        with bind_port("127.0.0.1", wished, last_used=wished) as listener:
            assert listener.getsockname()[1] != wished


def test_a_port_is_claimed_at_once_not_only_when_the_server_starts() -> None:
    with bind_port("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        with socket.socket() as client:
            client.connect(("127.0.0.1", port))


def test_an_address_of_another_machine_is_refused_with_its_name() -> None:
    with pytest.raises(BusyError, match=r"192\.0\.2\.1"):
        bind_port("192.0.2.1", 8000)


def test_listening_everywhere_is_told_as_this_machine() -> None:
    with bind_port("0.0.0.0", 0) as listener:  # noqa: S104 - what is tested
        assert url_of(listener).startswith("http://127.0.0.1:")
