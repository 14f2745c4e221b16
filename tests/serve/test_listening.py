"""The address that the server listens on."""

import pytest

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.serve.listening import open_socket


def test_port_zero_is_any_free_one():
    with open_socket("127.0.0.1", 0) as listening:
        assert listening.getsockname()[1] > 0


def test_a_port_in_use_is_named():
    with open_socket("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(MachineError, match=f"port {port} is in use"):
            open_socket("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(UserError, match="cannot listen on --host=192.0.2.1"):
        open_socket("192.0.2.1", 0)


def test_a_name_that_is_none_is_refused():
    with pytest.raises(UserError, match="--host=no such"):
        open_socket("no such", 0)
