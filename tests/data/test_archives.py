import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dipbench.data import archives, decompression
from dipbench.data.archives import MAX_MEMBER_BYTES, walk
from dipbench.data.refusal import RefusedError

FILES = {"tree/a.csv": b"1,2\n", "tree/deep/b.pkl": bytes(range(256)) * 200, "tree/empty": b""}
RANDOM = np.random.default_rng(0)
TARS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def make(path: Path, files: dict[str, bytes]) -> Path:
    """An archive whose kind goes by the path's ending, its name telling nothing."""
    if path.name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, TARS[path.name]) as archive:
            for name, data in files.items():
                archive.addfile(header(name, len(data)), io.BytesIO(data))
    return path.rename(path.with_name("published"))


def header(name: str, size: int = 0, **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def walked(source: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """What is given by name, and what is refused with its reason."""
    given, refused = {}, {}
    for member in walk(source, refused.__setitem__):
        try:
            given[member.name] = member.read()
        except RefusedError as error:
            refused[member.name] = str(error)
    return given, refused


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_an_archive_in_an_archive_is_refused_by_name(ending: str, tmp_path: Path) -> None:
    given, refused = walked(make(tmp_path / ending, {"a/inner.zip": b"PK", "a/x.npy": b"x"}))
    assert set(given) == {"published/a/x.npy"}
    assert "unpack the outer one" in refused["published/a/inner.zip"]


def test_a_file_of_a_zip_without_a_name_is_refused(tmp_path: Path) -> None:
    source = make(tmp_path / "zip", {"!.npy": b"x", "good.npy": b"y"})
    content = source.read_bytes()
    source.write_bytes(content.replace(b"!.npy", b"\0.npy"))
    given, refused = walked(source)
    assert set(given) == {"published/good.npy"}
    assert list(refused.values()) == ["it has no name"]


def test_what_may_not_be_read_is_refused_and_the_rest_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed/a.npy", "closed.npy", "good.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    closed = Path.open

    def opened(path: Path, mode: str = "r") -> object:
        if path.name == "closed.npy":
            raise PermissionError(13, "Permission denied")
        return closed(path, mode)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "closed")
    given, refused = walked(tmp_path)
    assert "good.npy" in given
    assert refused["closed.npy"] == "cannot be read (Permission denied)"
    assert refused["closed"] == "is a folder that may not be read"


@pytest.mark.parametrize("ending", ["zip", *TARS])
def test_archives_are_known_by_content_and_read_whole(ending: str, tmp_path: Path) -> None:
    source = make(tmp_path / ending, FILES)
    given, refused = walked(source)
    assert given == {f"published/{name}": data for name, data in FILES.items()}
    assert not refused


def test_a_folder_gives_its_files_and_those_of_its_archives(tmp_path: Path) -> None:
    make(tmp_path / "tar.gz", FILES)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "x.npy").write_bytes(b"x")
    given, refused = walked(tmp_path)
    assert set(given) == {*(f"published/{name}" for name in FILES), "inner/x.npy"}
    assert not refused


@pytest.mark.parametrize("ending", ["zip", *TARS])
def test_names_that_leave_the_folder_are_refused(ending: str, tmp_path: Path) -> None:
    names = ["/etc/passwd", "../x", "a/../../x", "C:\\x", "..\\x", "good"]
    given, refused = walked(make(tmp_path / ending, dict.fromkeys(names, b"x")))
    assert list(given) == ["published/good"]
    assert len(refused) == 5


def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "links"
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}
    with tarfile.open(path, "w") as archive:
        for name, kind in {**kinds, "pipe": tarfile.FIFOTYPE}.items():
            archive.addfile(header(name, type=kind, linkname="/etc/passwd"))
        archive.addfile(header("good", 1), io.BytesIO(b"x"))
    given, refused = walked(path)
    assert given == {"links/good": b"x"}
    assert set(refused) == {"links/sym", "links/hard", "links/device", "links/pipe"}


def test_links_in_a_zip_or_a_folder_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "link").symlink_to("/etc/passwd")
    given, refused = walked(tmp_path)
    assert not given
    assert set(refused) == {"z/link", "link"}


def test_a_bomb_in_a_zip_is_refused_by_name(tmp_path: Path) -> None:
    given, refused = walked(make(tmp_path / "zip", {"bomb.pkl": bytes(2**25), "good": b"x"}))
    assert given == {"published/good": b"x"}
    assert "a bomb" in refused["published/bomb.pkl"]


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_in_a_tar_ends_the_archive(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompression, "ARCHIVE_ALLOWANCE", 2**20)
    source = make(tmp_path / ending, {"good": b"x", "bomb": bytes(2**25)})
    given, refused = walked(source)
    assert given == {"published/good": b"x"}
    assert "expands beyond" in refused["published"]


def test_a_zip_of_many_bombs_is_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ARCHIVE_ALLOWANCE", 2**20)
    source = make(tmp_path / "zip", {f"{k}.pkl": bytes(2**22) for k in range(8)})
    assert walked(source)[1].keys() == {"published"}


def test_a_file_beyond_the_bound_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.truncate(MAX_MEMBER_BYTES + 1)
    given, refused = walked(tmp_path)
    assert not given
    assert "at most" in refused["large.pkl"]


@pytest.mark.parametrize("ending", ["zip", *TARS])
def test_an_archive_cut_short_is_refused_after_what_came_before(
    ending: str, tmp_path: Path
) -> None:
    files = {f"{number}.bin": RANDOM.bytes(600_000) for number in range(4)}
    source = make(tmp_path / ending, files)
    source.write_bytes(source.read_bytes()[:1_700_000])
    given, refused = walked(source)
    assert "published" in refused
    for name, data in given.items():
        assert files[name.removeprefix("published/")] == data
    if ending != "zip":  # whose directory is at its end
        assert given


def test_a_damaged_header_in_a_tar_is_not_its_end(tmp_path: Path) -> None:
    source = make(tmp_path / "tar", {"a": b"x" * 512, "b": b"y" * 512})
    data = bytearray(source.read_bytes())
    data[1024 + 148 : 1024 + 156] = b"damaged!"
    source.write_bytes(data)
    given, refused = walked(source)
    assert list(given) == ["published/a"]
    assert "cut short or damaged" in refused["published"]


def test_a_damaged_file_in_a_zip_is_refused_and_the_rest_read(tmp_path: Path) -> None:
    source = make(tmp_path / "zip", {"bad": RANDOM.bytes(1000), "good": b"x"})
    data = bytearray(source.read_bytes())
    data[200] ^= 255
    source.write_bytes(data)
    given, refused = walked(source)
    assert given == {"published/good": b"x"}
    assert "damaged" in refused["published/bad"]


def test_a_tar_header_that_asks_for_much_memory_ends_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "pax"
    large = header("pax", 2**30, type=tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    path.write_bytes(large + bytes(4096))
    assert "holds a header of" in walked(path)[1]["pax"]


def test_encrypted_and_oddly_packed_files_of_a_zip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "z"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("odd", b"x", zipfile.ZIP_LZMA)
        archive.writestr("bzip2", b"x", zipfile.ZIP_BZIP2)
        archive.writestr("secret", b"x")
    data = path.read_bytes()
    at = data.rfind(b"PK\x01\x02")
    path.write_bytes(data[: at + 8] + b"\x01" + data[at + 9 :])
    assert set(walked(path)[1]) == {"z/odd", "z/bzip2", "z/secret"}


def test_a_zip_that_announces_less_than_it_holds_is_not_unpacked_beyond_it(tmp_path: Path) -> None:
    path = make(tmp_path / "zip", {"a.npy": bytes(10**8)})
    data, size = path.read_bytes(), (10**8).to_bytes(4, "little")
    path.write_bytes(data.replace(size, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        _, refused = walked(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert list(refused) == ["published/a.npy"]
    assert most < 10**7


def test_the_directory_of_a_zip_is_bounded_as_zipfile_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 100)
    path = make(tmp_path / "zip", {f"{number}.npy": b"x" for number in range(9)})
    data = bytearray(path.read_bytes())
    assert walked(path)[0] == {}
    data[-6:-2] = b"PK\x05\x06"  # where the directory begins, to be taken for the record
    path.write_bytes(data)
    assert "one too large" in walked(path)[1]["published"]


@pytest.mark.parametrize(
    ("start", "tool"),
    [
        (b"7z\xbc\xaf\x27\x1c", "7z x"),
        (b"Rar!\x1a\x07\x01\x00", "unrar x"),
        (b"\x28\xb5\x2f\xfd", "--zstd"),
    ],
)
def test_other_archives_name_the_tool_that_unpacks_them(
    start: bytes, tool: str, tmp_path: Path
) -> None:
    (tmp_path / "published").write_bytes(start + bytes(100))
    for source in (tmp_path, tmp_path / "published"):
        given, refused = walked(source)
        assert not given
        assert tool in refused["published"]


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no such file"):
        list(walk(tmp_path / "nothing", print))
