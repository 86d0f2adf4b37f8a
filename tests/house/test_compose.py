"""docker-compose.yml starts a server that only this machine reaches, without a password that everyone knows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from etgraph.api.settings import PREFIX, load

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the file."""
    found: dict[str, Any] = yaml.safe_load(PATH.read_text("utf-8"))["services"]
    return found


def test_the_server_is_of_the_release_with_long_term_support(services: dict[str, Any]) -> None:
    assert services["neo4j"]["image"] == "neo4j:5.26-community"


def test_the_password_has_no_default() -> None:
    text = PATH.read_text("utf-8")
    uses = re.findall(r"\$\{NEO4J_PASSWORD(.*?)\}", text)
    assert len(uses) == 2
    assert all(use.startswith(":?") for use in uses)
    assert "NEO4J_AUTH: none" not in text


def test_ports_are_bound_to_the_loopback(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert [port.rpartition(":")[2] for port in ports] == ["7474", "7687", "8321"]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_memory_is_bounded_and_can_be_chosen(services: dict[str, Any]) -> None:
    server = services["neo4j"]
    bounds = [value for name, value in server["environment"].items() if "_memory_" in name]
    assert len(bounds) == 4
    for bound in (*bounds, server["mem_limit"]):
        assert re.fullmatch(r"\$\{NEO4J_[A-Z_]+:-\d+[mg]\}", bound)


def test_the_server_keeps_its_data_and_reports_nothing(services: dict[str, Any]) -> None:
    volumes = dict(volume.split(":") for volume in services["neo4j"]["volumes"])
    assert volumes == {"data": "/data", "logs": "/logs"}
    assert {*volumes, "uploads"} == set(yaml.safe_load(PATH.read_text("utf-8"))["volumes"])
    assert services["neo4j"]["environment"]["NEO4J_dbms_usage__report_enabled"] == "false"


def test_the_graph_is_loaded_once_the_server_answers_queries(services: dict[str, Any]) -> None:
    health = services["neo4j"]["healthcheck"]
    assert health["test"][0] == "CMD-SHELL"
    assert "cypher-shell" in health["test"][1]
    assert {"interval", "timeout", "retries"} <= set(health)
    loading = services["load"]
    assert loading["depends_on"] == {"neo4j": {"condition": "service_healthy"}}
    assert loading["command"] == ["--store", "neo4j://neo4j:7687", "demo"]


def test_the_api_is_served_once_the_graph_is_loaded(services: dict[str, Any]) -> None:
    server = services["server"]
    assert server["depends_on"] == {"load": {"condition": "service_completed_successfully"}}
    environment = server["environment"]
    settings = load(None, {name: value for name, value in environment.items() if name.startswith(PREFIX)})
    assert (settings.host, settings.behind) == ("0.0.0.0", "loopback")
    assert environment["ETGRAPH_STORE"] == "neo4j://neo4j:7687"
    assert "command" not in server, "the image serves if nothing else is said"
    assert float(server["stop_grace_period"].removesuffix("s")) * 1e9 > settings.grace_ns


@pytest.mark.parametrize("name", ["load", "server"])
def test_our_own_containers_may_do_little(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["build"] == "."
    assert not {"privileged", "network_mode", "user"} & set(service)
    assert service.get("volumes", []) == (["uploads:/data"] if name == "server" else [])


def test_uploads_lie_in_their_volume(services: dict[str, Any]) -> None:
    assert services["server"]["environment"]["ETGRAPH_SERVER_JOBS_SPOOL"].startswith("/data/")


def compose(*arguments: str, password: str | None) -> subprocess.CompletedProcess[str]:
    """Run `docker compose` on the file, with a password or without one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEO4J_")}
    if password:
        environment["NEO4J_PASSWORD"] = password
    command = ["docker", "compose", "--file", str(PATH), "--env-file", os.devnull, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def has_compose() -> bool:
    """Whether there is `docker compose`, which reads the file without an engine."""
    if shutil.which("docker") is None:
        return False
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60, check=False)
    return found.returncode == 0


@pytest.mark.skipif(not has_compose(), reason="needs docker compose; the file was checked as YAML")
def test_docker_compose_accepts_the_file_with_a_password_only() -> None:
    accepted = compose("config", "--quiet", password="a-long-one")
    assert accepted.returncode == 0, accepted.stderr
    refused = compose("config", "--quiet", password=None)
    assert refused.returncode != 0
    assert "NEO4J_PASSWORD" in refused.stderr
