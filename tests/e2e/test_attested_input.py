"""URIs of attested nodes that cannot be used: 400 that names the part, and their host is not connected to."""

import base64
import gzip
import json

import pytest

from priolb.attest.sgx.policy import TcbState
from support.balancer import Balancer
from support.factories import NewNode
from support.scripted_node import always


def user_part(document: bytes) -> str:
    return "SEV_" + base64.urlsafe_b64encode(gzip.compress(document)).decode()


NAMED = {"4": "00" * 32, "9": "00" * 32, "12": "00" * 32}
GOOD = user_part(json.dumps(NAMED).encode())
SHORT, NO_VALUE, NO_INDEX = b'{"4":"00"}', b'{"4":{"warnOnly":true}}', b'{"x":"00"}'
MRENCLAVE_MESSAGE = "what follows SGX_ is no MRENCLAVE (64 hex digits)"

BAD_INPUT = [
    (f"https://{GOOD[:-4]}!AA=@HOST", "what follows SEV_ is no base64url with padding"),
    (f"https://{GOOD.rstrip('=')[:-1]}@HOST", "what follows SEV_ is no base64url with padding"),
    ("https://SEV_AAAA@HOST", "what follows SEV_ is no gzip"),
    (f"https://{GOOD[:40]}@HOST", "what follows SEV_ is a gzip that ends early"),
    (f"https://{user_part(b' ' * 65_537)}@HOST", "the measurements are longer than 65536 bytes"),
    (f"https://{user_part(b'null')}@HOST", "measurements is no JSON object"),
    (
        f"https://{user_part(b'{}')}@HOST",
        "the measurements enforce a value that no node has for PCR 4, 9, 12",
    ),
    (f"https://{user_part(b'[]')}@HOST", "measurements is no JSON object"),
    (f"https://{user_part(b'{')}@HOST", "measurements is no JSON"),
    (f"https://{user_part(SHORT)}@HOST", "measurement of PCR 4 is not 32 bytes"),
    (f"https://{user_part(NO_VALUE)}@HOST", "measurement of PCR 4 has no expected value"),
    (f"https://{user_part(NO_INDEX)}@HOST", "measurements have a key that is no index of a PCR"),
    ("https://SGX_@HOST", MRENCLAVE_MESSAGE),
    (f"https://SGX_{'0' * 63}@HOST", MRENCLAVE_MESSAGE),
    (f"https://SGX_{'0' * 66}@HOST", MRENCLAVE_MESSAGE),
    (f"https://SGX_{'0' * 63}g@HOST", MRENCLAVE_MESSAGE),
    (f"http://{GOOD}@HOST", "an attested node (SEV_..., SGX_...) needs https"),
    (f"http://SGX_{'0' * 64}@HOST", "an attested node (SEV_..., SGX_...) needs https"),
    (f"https://TDX_{'0' * 64}@HOST", "a user part is only for attested nodes (SEV_..., SGX_...)"),
    (f"https://sgx_{'0' * 64}@HOST", "a user part is only for attested nodes (SEV_..., SGX_...)"),
    (f"https://SGX_{'0' * 64}:secret@HOST", "the user part of an attested node has no password"),
    (f"https://SGX_{'0' * 64}@HOST?_insecure=1", "_insecure has no meaning for an attested node"),
    (f"https://SGX_{'0' * 64}@HOST?_arks=milan", "_arks has no meaning for a SGX node"),
    (
        f"https://SGX_{'0' * 64}@HOST?_allow_tcb=Revoked",
        f"_allow_tcb is not a list of {', '.join(state.value for state in TcbState)}",
    ),
]


@pytest.mark.parametrize(("uri", "message"), BAD_INPUT)
def test_bad_input_is_400_that_names_the_part_and_the_host_is_not_even_connected_to(
    balancer: Balancer, new_node: NewNode, uri: str, message: str
) -> None:
    node = new_node(always())
    host = f"127.0.0.1:{node.port}"
    refusal = balancer.refused_node(uri.replace("HOST", host))
    assert refusal == f"node URI '{uri.partition(':')[0]}://{host}': {message}\n"
    assert node.connections == []
    told = balancer.wait_for("Admin call refused", err=refusal.strip())
    assert told["status"] == 400


def test_a_gzip_bomb_is_400_in_little_memory(balancer: Balancer) -> None:
    """As much as fits into a URI: 8 KB that would unpack to 5 MB; the bound is 64 KB."""
    bomb = user_part(b" " * 5_500_000)
    assert 7000 < len(bomb) < 8100
    before = balancer.resident_bytes()
    for _ in range(20):
        assert balancer.refused_node(f"https://{bomb}@foo") == (
            "node URI 'https://foo': the measurements are longer than 65536 bytes\n"
        )
    assert balancer.resident_bytes() - before < 4_000_000


@pytest.mark.parametrize("uri", ["https://SEV_AA/BB@foo", f"https://SGX_{'0' * 64}", "http://SEV_x?@foo"])
def test_a_user_part_without_a_host_behind_it_is_no_ordinary_node(balancer: Balancer, uri: str) -> None:
    prefix = "SGX_" if "SGX_" in uri else "SEV_"
    assert balancer.refused_node(uri) == (f"node URI: what follows {prefix} has no @ with a host behind it\n")


def test_a_user_part_without_a_scheme_in_front_stays_out_of_answer_and_log(balancer: Balancer) -> None:
    refusal = balancer.refused_node(f"{GOOD}@foo")
    assert refusal == "node URI 'foo': the scheme must be http or https\n"
    balancer.wait_for("Admin call refused", err=refusal.strip())
    assert GOOD[4:] not in str(balancer.lines)
