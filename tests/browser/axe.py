"""axe-core, which finds what keeps people with a screen reader, a keyboard or weak eyes out of a page."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "axe-core@4.14.1"
INTEGRITY = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
GRAVE = ("serious", "critical")
FIND = """async (grave) => {
    const {violations} = await axe.run({resultTypes: ['violations'], preload: false});
    return violations.filter(({impact}) => grave.includes(impact)).flatMap(({id, nodes}) =>
        nodes.map(({target, html, failureSummary: why}) =>
            `${location.pathname}, ${id} at ${target.join(' ')}: ${html.slice(0, 160)} ${why}`));
}"""


def axe_fetch(folder: Path) -> str:
    """The script of the pinned version from npm. Where it cannot be had, the test is skipped."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    quick = ["--loglevel=error", "--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    command = [npm, "pack", *quick, PACKAGE]
    try:
        packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)  # noqa: S603  # a pinned package
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if packed.returncode:
        pytest.skip(f"{PACKAGE} could not be fetched: {packed.stderr.strip()[-300:]}")
    (archive,) = folder.glob("axe-core-*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == INTEGRITY
    with tarfile.open(archive) as files:
        script = files.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def grave_findings(page: Any, axe: str) -> list[str]:
    """What axe-core calls serious or critical on the page as it stands."""
    page.evaluate(axe)
    found: list[str] = page.evaluate(FIND, GRAVE)
    return found
