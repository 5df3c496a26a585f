"""Archives of skills: what was packed is read, and what a hostile one may cost."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinlens.domain import skill as rules
from twinlens.domain.errors import InvalidArgument
from twinlens.features.skill_archive import read_archive

_NAMES = st.text("abcxyzäö-_ 0.", min_size=1, max_size=8).filter(lambda name: name.strip(" .") and name[-1] not in " .")


def packed(fill: Callable[[tarfile.TarFile], None], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=format, compresslevel=1) as tar:
        fill(tar)
    return out.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.lists(_NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=2_000), min_size=1, max_size=8
    )
)
def test_what_was_packed_is_read(files: dict[str, bytes]) -> None:
    try:
        rules.check_tree([rules.check_path(path) for path in files])
    except InvalidArgument:
        return

    def fill(tar: tarfile.TarFile) -> None:
        tar.addfile(entry("./", tarfile.DIRTYPE))
        for path, content in files.items():
            tar.addfile(entry(f"./{path}", size=len(content)), io.BytesIO(content))

    found = read_archive(io.BytesIO(packed(fill)))
    assert found == {rules.check_path(path): content for path, content in files.items()}
    assert rules.tree_digest(found) == rules.tree_digest(dict(reversed(found.items())))


def test_the_digest_is_that_of_mlflow() -> None:
    tree = {"b.txt": b"2", "SKILL.md": b"1"}  # of MLflow 3.18's compute_tree_digest
    assert rules.tree_digest(tree) == "7581874aad7f844a47cf18b9300c9ebe54b1f38be0173f64c026c7d5af86abf1"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../../x", "a//b", "a\\b", "c:x", "a/.", "nul.txt", "a./b", "é" * 200, "/".join("a" * 200),
     "what?", "a%2fb", "a#b", "x" * 1_001],
)  # fmt: skip
def test_paths_that_lead_out(path: str) -> None:
    with pytest.raises(InvalidArgument, match=r"not a path inside|could not be downloaded"):
        read_archive(io.BytesIO(packed(lambda tar: tar.addfile(entry(path)))))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z"]
)
def test_only_plain_files(kind: bytes) -> None:
    with pytest.raises(InvalidArgument, match="neither a plain file nor a folder"):
        read_archive(io.BytesIO(packed(lambda tar: tar.addfile(entry("x", kind, target="/etc/passwd")))))


@pytest.mark.parametrize(
    "names", [("a", "a"), ("a", "A"), ("é", "e\u0301"), ("a", "a/b"), ("a/x", "A/y"), ("a/b/c", "a/B")]
)
def test_paths_that_meet(names: tuple[str, ...]) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        for name in names:
            tar.addfile(entry(name))

    with pytest.raises(InvalidArgument, match=r"must differ|more than once|is a file and|differ in case"):
        read_archive(io.BytesIO(packed(fill)))


def test_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_BYTES", 100_000)
    monkeypatch.setattr(rules, "MAX_FILES", 50)

    def refused(data: bytes, words: str) -> None:
        with pytest.raises(InvalidArgument, match=words):
            read_archive(io.BytesIO(data))

    def many(tar: tarfile.TarFile) -> None:
        for number in range(51):
            tar.addfile(entry(f"f{number}", tarfile.DIRTYPE))

    def two(tar: tarfile.TarFile) -> None:
        for name in "ab":
            tar.addfile(entry(name, size=60_000), io.BytesIO(bytes(60_000)))

    def long_header(tar: tarfile.TarFile) -> None:
        info = entry("x")
        info.pax_headers = {"comment": "x" * 1_000_000}
        tar.addfile(info)

    def sparse(tar: tarfile.TarFile) -> None:
        info = entry("x")
        info.pax_headers = {"GNU.sparse.size": "90000", "GNU.sparse.map": "0,0", "GNU.sparse.name": "x"}
        tar.addfile(info)

    refused(packed(many), "more than 50 entries")
    refused(packed(two), "size limit of 100000")
    refused(packed(lambda tar: tar.addfile(entry("x", size=1 << 40), None)), "size limit")
    refused(packed(long_header), "too much that is not content")
    refused(packed(sparse), "neither a plain file")
    good = packed(lambda tar: tar.addfile(entry("x", size=5), io.BytesIO(b"hello")))
    assert read_archive(io.BytesIO(good)) == {"x": b"hello"}
    plain = gzip.decompress(good)
    refused(gzip.compress(plain + bytes(1_000_000)), "too much that is not content")  # a bomb behind the end
    refused(good[:-4], "not a readable")
    refused(good[:-8] + bytes(4) + good[-4:], "not a readable")  # another checksum
    refused(gzip.compress(plain[:512] + b"hel"), "not a readable|cut off")
    refused(packed(lambda tar: None), "no files")
    for junk in (
        b"",
        b"x",
        plain,
        b"\x1f\x8b" + bytes(20),
        random.Random(1).randbytes(5_000),
        gzip.compress(bytes(3_000)),
    ):
        refused(junk, "not a readable|no files")
