"""The stock Go and Java SDKs as receivers of webhooks: each refuses events of another version.

Go: ``webhook.ConstructEvent`` is an error unless the event is of the SDK's own release; Java:
``getObject()`` is empty. So whether an endpoint's ``api_version`` is honoured is told by them, and
not by us. Each is a program of its own (``go/main.go``, ``java/Judge.java``). Needed are ``go``
(1.22 or later, https://go.dev/dl), ``java`` (17 or later, https://adoptium.net) and ``mvn``
(https://maven.apache.org) on the path; the SDKs come once, in the versions of ``go.sum`` and of the
digests below.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stripe

from bailiwick.base.api_versions import CURRENT, RENDERED
from tests.interop.kit import Sink, until
from tests.interop.test_stripe_python import pay

HERE = Path(__file__).parent
JARS = {
    "gson-2.10.1.jar": "4241c14a7727c34feea6507ec801318a3d4a90f070e4525681079fb94ee4c593",
    "stripe-java-33.3.0.jar": "5f9197882b2928e9a6e840f790de585849e5e8623bea1c6a95da3effd96a8295",
}
Judge = Callable[[dict[str, str]], dict[str, Any]]


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not on the path: see {Path(__file__).name}"
    return found


def asking(*command: str) -> Judge:
    def judge(asked: dict[str, str]) -> dict[str, Any]:
        done = subprocess.run(
            command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True,
            timeout=600,
        )  # fmt: skip
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    return judge


@pytest.fixture(scope="module")
def go(cache: Path) -> Judge:
    folder = cache / "go"
    folder.mkdir(exist_ok=True)
    for name in ("go.mod", "go.sum", "main.go"):
        shutil.copy(HERE / "go" / name, folder / name)
    program = folder / "judge"
    subprocess.run([tool("go"), "build", "-mod=readonly", "-o", str(program), "."],
                   cwd=folder, check=True, timeout=1200)  # fmt: skip
    return asking(str(program))


@pytest.fixture(scope="module")
def java(cache: Path) -> Judge:
    folder = cache / "java"
    folder.mkdir(exist_ok=True)
    if not all((folder / name).exists() for name in JARS):
        command = [tool("mvn"), "-q", "-B", "-f", str(HERE / "java" / "pom.xml")]
        copied = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        subprocess.run([*command, *copied], check=True, timeout=1200)
    for name, digest in JARS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    path = ":".join(str(folder / name) for name in JARS)
    return asking(tool("java"), "-cp", path, str(HERE / "java" / "Judge.java"))


@pytest.mark.parametrize("language", ["go", "java"])
def test_an_endpoint_gets_events_in_its_sdk_s_version(
    language: str, client: stripe.StripeClient, sink: Sink, request: pytest.FixtureRequest
) -> None:
    judge: Judge = request.getfixturevalue(language)
    version = judge({})["api_version"]
    assert version in RENDERED and version != CURRENT, version
    endpoints = client.v1.webhook_endpoints
    wanted: Any = {"url": sink.url, "enabled_events": ["payment_intent.succeeded"]}
    made = [
        endpoints.create({**wanted, "api_version": version}),
        endpoints.create({**wanted, "url": f"{sink.url}/current"}),
    ]
    assert [each.api_version for each in made] == [version, None]
    try:
        paid = pay(client)
        until(lambda: len(sink.about(paid.id)) == 2)
        said = {
            hit.event["api_version"]: judge(
                {
                    "body": hit.body.decode(),
                    "signature": hit.headers["Stripe-Signature"],
                    "secret": str(made[hit.event["api_version"] == CURRENT].secret),
                }
            )
            for hit in sink.about(paid.id)
        }
    finally:
        for each in made:
            endpoints.delete(each.id)
    assert said[version] == {
        "api_version": version,
        "type": "payment_intent.succeeded",
        "id": paid.id,
        "amount": 1999,
    }
    assert CURRENT in said[CURRENT]["error"]  # else this would tell nothing of the other
