"""Fuzz the REST API of a real engine by an OpenAPI file: `make conformance-openapi OPENAPI=path`.

First the table of facts of the conformance tests is compared with the file. Then schemathesis requests every operation
with good and bad parameters, on resources that exist. No answer may be 5xx, none may break the file's schema, and each
implemented operation must answer with success at least once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from scripts.openapi_document import Json, find_path, narrow, operations
from scripts.openapi_facts import differences
from scripts.openapi_seeds import OURS, PASSWORD, PHONES, WAITS, Seeder
from tests.conformance.facts import SCHEMAS
from tests.conformance.parameters import PARAMETERS

TOOL = Path(__file__).parents[1] / ".openapi-venv" / "bin" / "schemathesis"
PASSES = ("GET", "POST", "DELETE")
"""The order of the passes: reads first, deletions last, each on resources created for it."""
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"

PASS_S = 120.0
"""Units: seconds that a pass may take; on two idle cores the longest takes about 30 s."""
REQUEST_S = 15
"""Units: seconds that an answer may take. A slower one is a failure."""

Tally = Counter[tuple[str, str, int]]
"""Answers by method, path of the document, and first digit of the status."""


async def main() -> int:
    """Run the passes and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("openapi", type=Path, help="the OpenAPI file, JSON")
    parser.add_argument("--examples", type=int, default=20, help="random requests for each operation")
    arguments = parser.parse_args()
    document: Json = json.loads(arguments.openapi.read_text("utf-8"))
    wrong = list(differences(document, parameters=PARAMETERS, shapes=SCHEMAS))
    print(f"── our table of facts beside the file: {len(wrong)} differences", *wrong, sep="\n   ", flush=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-openapi-")))
        lines = {name: PASSWORD for name in PHONES}
        server = await stack.enter_async_context(Server(lines=lines, numbers={OURS: "http://127.0.0.1:9/voice"}))
        phones = {}
        for name in PHONES:
            phones[name] = await stack.enter_async_context(Phone(name, server=server.sip, password=PASSWORD))
            await phones[name].register()
        basic = {"Authorization": aiohttp.encode_basic_auth(server.account_sid, server.auth_token)}
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=basic))
        seeder = Seeder(server, session, documents=await documents(stack))
        tally: Tally = Counter()
        failed = False
        for number, method in enumerate(PASSES, 1):
            print(f"\n── {method}, pass {number} of {len(PASSES)}: planting calls, rooms, queues …", flush=True)
            seeds = await seeder.plant(phones, finished=method == "DELETE")
            narrowed = narrow(document, seeds, url=server.url)
            (folder / "openapi.json").write_text(json.dumps(narrowed), "utf-8")
            failed |= await fuzz(folder, server, method, examples=arguments.examples) != 0
            tally += answers(narrowed, folder / "report.har")
    never = report(document, tally)
    if never:
        print(f"\nNothing was proved of: {', '.join(never)}", file=sys.stderr)
    return 1 if wrong or failed or never else 0


async def documents(stack: AsyncExitStack) -> str:
    """Start a web server that answers every request with a document that waits, and return its URL."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text=WAITS, content_type="text/xml")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return site.name


async def fuzz(folder: Path, server: Server, method: str, *, examples: int) -> int:
    """Run one pass of schemathesis and return its exit status. Raises: TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        str(TOOL),
        *("run", "openapi.json", "--url", server.url, "--include-method", method, "--checks", CHECKS),
        *("--auth", f"{server.account_sid}:{server.auth_token}", "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(examples), "--suppress-health-check", "all", "--warnings", "off", "--no-color"),
        *("--report-har-path", "report.har", "--continue-on-failure"),
        *("--request-timeout", str(REQUEST_S), "--generation-database", "none"),
        cwd=folder,
    )
    try:
        async with asyncio.timeout(PASS_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise TimeoutError(f"the pass of {method} did not end within {PASS_S:.0f} s") from None


def answers(document: Json, har: Path) -> Tally:
    """Count the answers by operation. Answers to paths outside the document are not counted."""
    tally: Tally = Counter()
    known = list(operations(document))
    for entry in json.loads(har.read_text("utf-8"))["log"]["entries"]:
        asked, status = entry["request"], int(entry["response"]["status"])
        path = find_path(urlsplit(asked["url"]).path, asked["method"], known)
        if path is not None:
            tally[asked["method"], path, status // 100] += 1
    return tally


def report(document: Json, tally: Tally) -> list[str]:
    """Print the table and return the operations that never answered with success."""
    print(f"\n{'operation':<100} {'2xx':>5} {'4xx':>5} {'5xx':>5}")
    never = []
    for method, path in operations(document):
        good, refused, broken = (tally[method, path, kind] for kind in (2, 4, 5))
        name = f"{method} {path.removeprefix('/2010-04-01/Accounts/{AccountSid}')}"
        print(f"{name:<100} {good:>5} {refused:>5} {broken:>5}")
        if not good:
            never.append(name)
    return never


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
