"""How a story is told: step by step, each printed; a step that fails says why, the story goes on, and it ends non-zero."""

import os
import sys
import traceback
from contextlib import contextmanager

from postgrest.exceptions import APIError

_failed = []


def given(name):
    """A required setting of the surroundings."""
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set: it comes from tests/apps, which starts a hub for this story")
    return value


@contextmanager
def step(title):
    """One step of the story."""
    try:
        yield
        print(f"ok      {title}", flush=True)
    except Exception:
        _failed.append(title)
        print(f"FAILED  {title}")
        print("        " + traceback.format_exc().strip().replace("\n", "\n        "), flush=True)


def same(found, expected, what=""):
    """Compare, and say both when they differ."""
    assert found == expected, f"{what} expected {expected!r}, found {found!r}"


@contextmanager
def refused(*codes):
    """What happens inside is refused with one of these codes; the error is there to look at afterwards."""
    seen = {}
    try:
        yield seen
    except APIError as error:
        assert error.code in codes, f"expected {codes}, got {error!r}"
        assert error.message, f"no message in {error.json()}"
        seen["error"] = error
        return
    raise AssertionError(f"expected {codes}, was not refused")


def each(answer, column):
    """One column of the rows of an answer."""
    return [row[column] for row in answer.data]


def end():
    """Say how it went; never returns."""
    if _failed:
        print(f"\n{len(_failed)} steps failed, the first: {_failed[0]}")
        sys.exit(1)
    print("\nThe whole story is true.")
    sys.exit(0)
