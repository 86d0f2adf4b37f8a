"""Settings of a server: what a file and the environment say, and all that is wrong about it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from etgraph.api.jobs.rules import Rules
from etgraph.api.limits import Limits
from etgraph.api.settings import PREFIX, Settings, SettingsError, load, variables, with_address
from etgraph.model.errors import NotFound, UsageError


def written(folder: Path, text: str) -> Path:
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return path


def test_nothing_said_means_the_defaults() -> None:
    assert load(None, {}) == Settings()


def test_a_file_and_the_environment_above_it(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        port = 9000
        threads = 4
        origins = ["https://example.org"]
        receive = "5 s"
        [limits]
        cost = 100
        body = "64 KiB"
        introspection = false
        """,
    )
    environment = {
        f"{PREFIX}THREADS": "2",
        f"{PREFIX}HOSTS": "a.example, B.example",
        f"{PREFIX}LIMITS_COST": "50",
        f"{PREFIX}LIMITS_DEADLINE": "250 ms",
        "ETGRAPH_STORE": "elsewhere",
    }
    found = load(path, environment)
    assert (found.port, found.threads, found.receive_ns) == (9000, 2, 5 * 10**9)
    assert (found.origins, found.hosts) == (("https://example.org",), ("a.example", "B.example"))
    assert found.asked_as == ("127.0.0.1", "localhost", "::1", "a.example", "b.example")
    assert (found.limits.cost, found.limits.body_bytes, found.limits.introspection) == (50, 65_536, False)
    assert found.limits.deadline_s == 0.25
    assert load(None, environment | {f"{PREFIX}CONFIG": str(path)}) == found


@pytest.mark.parametrize("name", variables())
def test_every_setting_can_be_given_by_the_environment(name: str) -> None:
    _, kind = variables()[name]
    quantity = getattr(kind, "quantity", None)
    own = {
        "AUTHENTICATION": "tokens", "HOST": "::1", "BEHIND": "loopback", "LIMITS_INTROSPECTION": "false",
        "PREPARE": "false",
    }  # fmt: skip
    value = own.get(name.removeprefix(PREFIX), "7")
    assert load(None, {name: quantity.example if quantity else value}) != Settings()


def test_no_two_settings_share_a_name() -> None:
    assert len(variables()) == len(fields(Settings)) - 2 + len(fields(Limits)) + len(fields(Rules))


def test_all_problems_are_told_with_their_places(tmp_path: Path) -> None:
    path = written(tmp_path, 'port = "no"\nthread = 3\n[limits]\ndeadline = 30\ncost = 0\n')
    with pytest.raises(SettingsError) as told:
        load(path, {f"{PREFIX}GRACE": "soon", f"{PREFIX}LIMIT_COST": "3"})
    message = str(told.value)
    for line in (
        f"{path}: 4 problems",
        'line 1, port: found "no", expected a whole number, 0 or more',
        "line 2, thread: found an unknown key, expected one of",
        "(did you mean 'threads'?)",
        'line 4, limits.deadline: found 30, expected a time such as "4 us" (with its unit, in quotes)',
        "line 5, limits.cost: found 0, expected 1 or more",
        f"{PREFIX}GRACE: 1 problem",
        'grace: found "soon", expected a time',
        f"{PREFIX}LIMIT_COST: found an unknown setting",
        f"(did you mean '{PREFIX}LIMITS_COST'?)",
    ):
        assert line in message
    assert (told.value.code, told.value.exit_code) == ("BAD_SETTINGS", 2)


def test_what_is_no_toml_and_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="line 1"):
        load(written(tmp_path, "port 9"), {})
    with pytest.raises(NotFound, match="there is no such file"):
        load(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.0.7", "example.org", "::"])
def test_other_machines_cannot_be_listened_to_without_authentication(host: str) -> None:
    for settings in (lambda: load(None, {f"{PREFIX}HOST": host}), lambda: with_address(Settings(), host, None)):
        with pytest.raises(UsageError, match="without authentication"):
            settings()


def test_with_tokens_any_address_may_be_listened_to_under_any_name() -> None:
    found = load(None, {f"{PREFIX}HOST": "0.0.0.0", f"{PREFIX}AUTHENTICATION": "tokens"})
    assert (found.host, found.asked_as) == ("0.0.0.0", ())
    named = load(None, {f"{PREFIX}HOSTS": "etgraph.example", f"{PREFIX}AUTHENTICATION": "tokens"})
    assert named.asked_as == ("127.0.0.1", "localhost", "::1", "etgraph.example")
    with pytest.raises(UsageError, match="found an empty name"):
        load(None, {f"{PREFIX}HOST": "", f"{PREFIX}AUTHENTICATION": "tokens"})
    with pytest.raises(SettingsError, match="authentication"):
        load(None, {f"{PREFIX}AUTHENTICATION": "maybe"})


def test_an_address_given_by_hand_comes_first() -> None:
    assert with_address(Settings(port=1), "::1", 2) == Settings(host="::1", port=2)
    assert with_address(Settings(port=1), None, None) == Settings(port=1)
    with pytest.raises(UsageError, match="expected 0 to 65535"):
        load(None, {f"{PREFIX}PORT": "70000"})


def test_a_container_may_listen_to_all_where_its_port_is_published_on_the_loopback() -> None:
    open_to_all = {f"{PREFIX}HOST": "0.0.0.0"}
    with pytest.raises(UsageError, match="without authentication") as told:
        load(None, open_to_all)
    assert 'behind = "loopback"' in str(told.value.hint)
    found = load(None, open_to_all | {f"{PREFIX}BEHIND": "loopback"})
    assert found.host == "0.0.0.0"
    assert found.asked_as == Settings().asked_as, "a page elsewhere cannot ask by a name of its own"
    with pytest.raises(SettingsError, match="BEHIND"):
        load(None, open_to_all | {f"{PREFIX}BEHIND": "nginx"})
