"""Files that are written at once, and whole."""

from __future__ import annotations

import threading
from pathlib import Path

from homeroom.core.files import PART, write_text


def test_threads_that_write_the_same_file_do_not_cut_one_another_short(tmp_path: Path):
    place, errors = tmp_path / "state.json", []
    texts = {str(n) * 20_000 for n in range(4)}

    def write(text: str) -> None:
        try:
            for _ in range(30):
                write_text(place, text)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert place.read_text() in texts
    assert not list(tmp_path.glob(f".*{PART}"))
