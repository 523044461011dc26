"""The verifier of one SEV node."""

import base64

from priolb.attest.sev.verifier import SevVerifier
from priolb.attest.verdict import Refusal
from support.sev_evidence import NONCE, NOW, SevNode


def test_each_connection_gets_a_nonce_of_its_own_and_the_host_is_not_told() -> None:
    verifier = SevVerifier({}, SevNode().policy, lambda: NOW)
    greetings = [verifier.greet("host.example") for _ in range(100)]
    assert len({nonce for _, nonce in greetings}) == 100
    for name, nonce in greetings:
        assert name is not None
        assert (len(nonce), len(name), base64.b64decode(name)) == (32, 44, nonce)


def test_it_holds_the_node_to_its_own_values_at_the_time_of_the_clock() -> None:
    node, now = SevNode(), [NOW]
    verifier = SevVerifier(node.measurements, node.policy, lambda: now[0], lambda size: NONCE[:size])
    assert verifier.greet(None) == (base64.b64encode(NONCE).decode(), NONCE)
    leaf = node.certificate()
    assert verifier.verify(leaf, NONCE).ok
    assert verifier.verify(leaf, bytes(32)).refusal is Refusal.QUOTE_NONCE
    assert verifier.verify_again(leaf) is None
    now[0] += 86_400.0
    assert verifier.verify(leaf, NONCE).refusal is Refusal.CERTIFICATE_DATES
    assert verifier.kind == "SEV"
