"""Pages of other sites cannot send requests, nor those that point a name of theirs at this machine."""

from __future__ import annotations

from typing import Any

import pytest

from etgraph.store import Store
from support.api import application, codes

ELSEWHERE = "https://elsewhere.example"


def ask(app: Any, method: str = "GET", path: str = "/graphql?query={hello}", **headers: str) -> Any:
    """Ask from a page, as its browser describes it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with app.test_client() as client:
        return client.open(path, method=method, headers=names)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://localhost"},
        {"Host": "127.0.0.1:8321"},
        {"Host": "[::1]:8321"},
        {"Host": "LOCALHOST:8321"},
        {"Host": "localhost:8321", "Origin": "http://localhost:8321"},
    ],
)
def test_programs_and_own_pages_may_ask(gpt: Store, headers: dict[str, str]) -> None:
    assert ask(application(gpt), **headers).json["data"] == {"hello": "hello you"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": ELSEWHERE},
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Origin": "http://[::"},
        {"Host": "[nowhere]"},
        {"Origin": "http://localhost:9999"},
        {"Host": "rebound.example:8321"},
        {"Host": "127.0.0.1.rebound.example"},
    ],
)
@pytest.mark.parametrize("path", ["/graphql?query={hello}", "/graphiql", "/metrics", "/nothing"])
def test_pages_of_other_sites_may_not(gpt: Store, headers: dict[str, str], path: str) -> None:
    answer = ask(application(gpt), path=path, **headers)
    assert (answer.status_code, codes(answer)) == (403, ["FORBIDDEN"])
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_configured_names_and_origins_may(gpt: Store) -> None:
    app = application(gpt, hosts=("etgraph.example",), origins=(ELSEWHERE,))
    answer = ask(app, Host="etgraph.example", Origin=ELSEWHERE, Sec_Fetch_Site="cross-site")
    assert answer.json["data"] == {"hello": "hello you"}
    assert answer.headers["Access-Control-Allow-Origin"] == ELSEWHERE
    assert "Origin" in answer.headers["Vary"].split(", ")
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert ask(app, Origin="https://other.example").status_code == 403


def test_only_configured_origins_hear_what_they_may_send(gpt: Store) -> None:
    asked = {"Access_Control_Request_Method": "POST", "Sec_Fetch_Site": "cross-site", "Origin": ELSEWHERE}
    allowed = ask(application(gpt, origins=(ELSEWHERE,)), "OPTIONS", **asked)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Content-Type" in allowed.headers["Access-Control-Allow-Headers"]
    refused = ask(application(gpt), "OPTIONS", **asked)
    assert refused.status_code == 403
    assert not [name for name in dict(refused.headers) if name.startswith("Access-Control")]
