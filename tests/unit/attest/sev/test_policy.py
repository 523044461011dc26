"""The policy for SEV nodes, and how an operator writes it."""

import pytest

from priolb.attest.anchors import ARK_GENOA, ARK_MILAN
from priolb.attest.sev.policy import SevPolicy, Tcb, parse_arks, parse_id_keys, parse_tcb


def test_the_defaults_are_those_of_the_original() -> None:
    policy = SevPolicy()
    assert policy.minimum_tcb == Tcb(bootloader=2, tee=0, snp=6, microcode=93)
    assert {key.hex() for key in policy.id_keys} == {
        "57486a447ec0f1958002a22a06b7673b9fd27d11e1c6527498056054c5fa92d23c50f9de44072760fe2b6fb89740b696",
        "0356215882a825279a85b300b0b742931d113bf7e32dde2e50ffde7ec743ca491ecdd7f336dc28a6e0b2bb57af7a44a3",
        "934f68bd8ba01938eec21475c872e3a942b60c59fafc6df9e9a76ee66bc47f2d09c676f61c0315c578da26085fb13a71",
    }


def test_a_packed_version_has_its_parts_in_bytes_0_1_6_and_7() -> None:
    assert Tcb.of(bytes(range(8))) == Tcb(0, 1, 6, 7)
    assert str(Tcb(2, 0, 6, 93)) == "2.0.6.93"


def test_roots_go_by_the_names_of_product_lines() -> None:
    assert parse_arks("milan") == (ARK_MILAN,)
    assert parse_arks("genoa,milan,genoa") == (ARK_GENOA, ARK_MILAN)


@pytest.mark.parametrize("text", ["", "Milan", "milan,", "turin", "milan, genoa"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a list of milan, genoa$"):
        parse_arks(text)


def test_versions_are_four_numbers() -> None:
    assert parse_tcb("255.0.6.093") == Tcb(255, 0, 6, 93)


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.x", " 1.2.3.4"])
def test_other_versions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not bootloader\.tee\.snp\.microcode \("):
        parse_tcb(text)


def test_id_keys_are_digests_in_hex_or_those_of_constellation() -> None:
    assert parse_id_keys("Ab" * 48) == {bytes.fromhex("ab" * 48)}
    assert parse_id_keys("constellation") == SevPolicy().id_keys
    assert parse_id_keys(f"constellation,{'00' * 48}") == SevPolicy().id_keys | {bytes(48)}


@pytest.mark.parametrize("text", ["", "ab", "ab" * 47, "ab" * 49, "xy" * 48, "constellation,"])
def test_other_id_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a list of SHA-384 digests \("):
        parse_id_keys(text)
