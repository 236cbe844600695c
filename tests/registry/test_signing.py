import base64
import copy
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from registry import RegistryError
from registry.signing import DOMAIN, PublicKey, SigningKey, generate, message, write_private
from tests.registry.keys import key, key_file
from tests.registry.shop import sha, unprivileged

ENTRY: dict[str, Any] = {
    "version": "v2.0.0",
    "model_type": "ensemble",
    "path": "models_saved/ensemble_v2.0.0.pkl",
    "checksum": sha(b"ensemble"),
    "artifacts": {"rl_agent": {"path": "models_saved/rl_agent_v2.0.0.zip", "checksum": sha(b"agent")}},
    "metadata": {"trained_on": "2025"},
    "registered_at": "2026-01-15T10:00:00",
    "status": "production",
}


def signed(entry: dict[str, Any] = ENTRY, version: str = "v2.0.0", by: str = "ours") -> dict[str, Any]:
    return SigningKey(key(by)[0]).signed(version, copy.deepcopy(entry))


def judged(entry: dict[str, Any], version: str = "v2.0.0") -> str:
    return PublicKey(key()[1]).judge(version, entry).state


# --- what is signed


def test_the_message_is_as_the_contract_says_to_the_byte() -> None:
    """Programs in other languages sign, too."""
    assert message("v2.0.0", ENTRY) == (
        b"model-watchdog/version-signature/1\n"
        b'{"artifacts":{"main":{"path":"models_saved/ensemble_v2.0.0.pkl","sha256":"'
        + sha(b"ensemble").encode()
        + b'"},"rl_agent":{"path":"models_saved/rl_agent_v2.0.0.zip","sha256":"'
        + sha(b"agent").encode()
        + b'"}},"model_type":"ensemble","version":"v2.0.0"}'
    )
    assert message("v\u00fc", {"path": "a", "checksum": "AB" * 32}) == (
        DOMAIN
        + b'{"artifacts":{"main":{"path":"a","sha256":"'
        + b"ab" * 32
        + b'"}},"model_type":null,"version":"v\\u00fc"}'
    )


def test_a_signature_fits_what_was_signed_and_is_one_that_anybody_can_check() -> None:
    entry = signed()
    public = PublicKey(key()[1])
    assert judged(entry) == "signed"
    assert {name: value for name, value in entry.items() if name != "signatures"} == ENTRY
    raw = base64.b64decode(key()[1].removeprefix("ed25519:"))
    signature = base64.b64decode(entry["signatures"][public.id])
    ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(signature, message("v2.0.0", ENTRY))
    assert judged(json.loads(json.dumps(entry))) == "signed", "as it is on disk"


def swap_paths(entry: dict[str, Any]) -> None:
    agent = entry["artifacts"]["rl_agent"]
    entry["path"], agent["path"] = agent["path"], entry["path"]


def swap_files(entry: dict[str, Any]) -> None:
    swap_paths(entry)
    agent = entry["artifacts"]["rl_agent"]
    entry["checksum"], agent["checksum"] = agent["checksum"], entry["checksum"]


FORGERIES: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("another file", lambda entry: entry.update(checksum=sha(b"evil"))),
    ("another path", lambda entry: entry.update(path="/tmp/evil.pkl")),
    ("another type", lambda entry: entry.update(model_type="pickle")),
    ("no type", lambda entry: entry.pop("model_type")),
    ("a type of another kind", lambda entry: entry.update(model_type=["ensemble"])),
    ("paths swapped", swap_paths),
    ("files swapped", swap_files),
    ("an artifact dropped", lambda entry: entry["artifacts"].pop("rl_agent")),
    ("all artifacts dropped", lambda entry: entry.pop("artifacts")),
    ("an artifact added", lambda entry: entry["artifacts"].update(x={"path": "x", "checksum": sha(b"x")})),
    ("an artifact renamed", lambda entry: entry["artifacts"].update(x=entry["artifacts"].pop("rl_agent"))),
    ("an artifact's file", lambda entry: entry["artifacts"]["rl_agent"].update(checksum=sha(b"evil"))),
    ("no checksum", lambda entry: entry.pop("checksum")),
    ("an artifact of another shape", lambda entry: entry["artifacts"].update(rl_agent="x")),
]


@pytest.mark.parametrize("forge", [forge for _, forge in FORGERIES], ids=[name for name, _ in FORGERIES])
def test_an_entry_that_was_edited_is_forged(forge: Callable[[dict[str, Any]], object]) -> None:
    entry = signed()
    forge(entry)
    found = PublicKey(key()[1]).judge("v2.0.0", entry)
    assert found.state == "forged"
    assert "the signature of v2.0.0 does not fit its entry" in found.detail


def test_an_entry_under_another_name_is_forged() -> None:
    assert judged(signed(), "v9.9.9") == "forged"


def test_what_changes_in_use_is_not_signed() -> None:
    entry = signed() | {"status": "quarantined", "metadata": {}, "registered_at": "", "note": "theirs"}
    entry["version"] = "what the key of the entry says, counts"
    entry["checksum"] = f"sha256:{entry['checksum'].upper()}"
    assert judged(entry) == "signed"


@pytest.mark.parametrize("bad", ["", "A", "????", "AAAA", "\u00fc", 7, None, [], {"a": 1}])
def test_a_signature_that_is_none_is_forged(bad: object) -> None:
    entry = signed()
    entry["signatures"] = dict.fromkeys(entry["signatures"], bad)
    assert judged(entry) == "forged"


def test_a_signature_with_one_bit_turned_is_forged() -> None:
    entry = signed()
    (name, text), *_ = entry["signatures"].items()
    for bit in range(0, 512, 37):
        raw = bytearray(base64.b64decode(text))
        raw[bit // 8] ^= 1 << bit % 8
        entry["signatures"][name] = base64.b64encode(raw).decode()
        assert judged(entry) == "forged"


def test_a_signature_of_another_version_is_forged() -> None:
    """Carried over from an entry that is as good as this one."""
    entry = signed() | {"signatures": signed(version="v1.0.0")["signatures"]}
    assert judged(entry) == "forged"


@pytest.mark.parametrize("signatures", [None, [], "x", 7, {}])
def test_an_entry_without_signatures_is_unsigned(signatures: object) -> None:
    entry = ENTRY | {"signatures": signatures}
    found = PublicKey(key()[1]).judge("v2.0.0", entry)
    assert found.state == "unsigned"
    assert found.detail == f"v2.0.0 bears no signature by the key {PublicKey(key()[1]).id}"
    assert judged(dict(ENTRY)) == "unsigned"


def test_a_signature_by_another_key_is_none_by_this_one_and_both_can_stand_side_by_side() -> None:
    entry = signed(by="theirs")
    found = PublicKey(key()[1]).judge("v2.0.0", entry)
    assert found.state == "unsigned"
    assert found.detail.endswith(f"(by {PublicKey(key('theirs')[1]).id} only)")
    both = signed(entry)
    assert len(both["signatures"]) == 2
    assert judged(both) == "signed"
    assert PublicKey(key("theirs")[1]).judge("v2.0.0", both).state == "signed"


def test_whose_other_signatures_there_are_is_told_in_bounds_and_not_in_their_words() -> None:
    evil = {"\x1b[2J\nall is well": "", "x" * 10_000: "", "abc": "", **{f"k{n}": "" for n in range(1000)}}
    found = PublicKey(key()[1]).judge("v1", {**ENTRY, "signatures": evil})
    assert found.state == "unsigned"
    assert found.detail.endswith("(by abc, k0, k1 only)")


def test_another_key_s_signature_under_our_name_is_forged() -> None:
    (text,) = signed(by="theirs")["signatures"].values()
    assert judged(ENTRY | {"signatures": {PublicKey(key()[1]).id: text}}) == "forged"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, 'no "path"'),
        ({"path": "a"}, "artifact main has no SHA-256"),
        ({"path": "a", "checksum": "ab" * 32, "model_type": 7}, '"model_type" is no text'),
    ],
)
def test_what_cannot_be_signed_says_why(entry: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        SigningKey(key()[0]).signed("v1", entry)


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=6)
ENTRIES = st.fixed_dictionaries(
    {
        "path": NAMES,
        "checksum": st.sampled_from([sha(b"1"), sha(b"2")]),
        "model_type": st.none() | NAMES,
        "artifacts": st.dictionaries(
            NAMES.filter(lambda name: name != "main"),
            st.fixed_dictionaries({"path": NAMES, "checksum": st.sampled_from([sha(b"1"), sha(b"2")])}),
            max_size=3,
        ),
    }
)


@given(one=ENTRIES, other=ENTRIES, names=st.tuples(NAMES, NAMES))
def test_two_entries_have_one_message_only_if_they_are_the_same(
    one: dict[str, Any], other: dict[str, Any], names: tuple[str, str]
) -> None:
    same = (one, names[0]) == (other, names[1])
    assert (message(names[0], one) == message(names[1], other)) == same


# --- keys


def test_a_public_key_is_read_back_from_its_text() -> None:
    _, public = generate()
    assert PublicKey(public.text).id == public.id
    assert len(public.text) == len("ed25519:") + 44


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519",
        "ed25519:",
        "ed25519:AAAA",
        "ed25519:?" + "A" * 42 + "=",
        "rsa:" + "A" * 43 + "=",
        "A" * 43 + "=",
        "/etc/key.pem",
        "ed25519:\u00fc",
    ],
)
def test_what_is_no_public_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(
        RegistryError, match="this is no public key; it looks like ed25519:<44 characters>"
    ) as told:
        PublicKey(text)
    assert "etc" not in str(told.value)


def test_a_private_key_is_read_from_its_file_or_its_bytes(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    for source in (path, str(path), key()[0]):
        assert SigningKey(source).public.text == key()[1]
    link = tmp_path / "link.pem"
    link.symlink_to(path)
    assert SigningKey(link).public.text == key()[1]


def test_a_private_key_is_for_its_owner_s_eyes_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = key_file(tmp_path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_private(path, b"another")
    assert path.read_bytes() == key()[0]
    (tmp_path / "link").symlink_to(tmp_path / "none")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "link", b"")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_private_key_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path)
    path.chmod(mode)
    with pytest.raises(
        RegistryError, match=rf"others than its owner can read this private key; chmod 600 {path}"
    ):
        SigningKey(path)


@pytest.mark.privileged
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_another_user_s_private_key_is_refused(public: Path) -> None:
    path = key_file(public)
    os.chown(path, 1234, -1)
    with pytest.raises(RegistryError, match="belongs to another user"):
        SigningKey(path)
    os.chown(path, 65534, -1)
    with unprivileged():
        assert SigningKey(path).public.text == key()[1]


def test_what_is_no_file_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, fault in (
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path, "is no file"),
        (tmp_path / "pipe", "is no file"),
    ):
        with pytest.raises(RegistryError, match=fault):
            SigningKey(path)


def locked_pem() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def other_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("pem", "fault"),
    [
        (lambda: b"", "holds no Ed25519 private key in PEM; make one: "),
        (lambda: b"hunter2", "holds no Ed25519 private key"),
        (
            lambda: b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
            "holds no Ed25519 private key",
        ),
        (other_pem, "holds no Ed25519 private key"),
        (locked_pem, "is locked with a password; give one without"),
    ],
)
def test_what_is_no_private_key_is_refused_and_never_shown(
    tmp_path: Path, pem: Callable[[], bytes], fault: str
) -> None:
    path = tmp_path / "key.pem"
    write_private(path, pem())
    for source in (path, pem()):
        with pytest.raises(RegistryError, match=fault) as told:
            SigningKey(source)
        assert "hunter2" not in str(told.value)
        assert told.value.__cause__ is None
        assert told.value.__suppress_context__ or told.value.__context__ is None


def test_half_a_key_is_not_left_behind_by_a_full_disk(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_private(tmp_path / "key.pem", key()[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "key.pem").exists()
