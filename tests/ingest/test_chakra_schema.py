"""The schema of Chakra: the compiled descriptors are those of the `.proto` file, and numbers are the standard's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etgraph.ingest.chakra import fields, messages
from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, IOInfo, Node
from etgraph.model import NodeType

FOLDER = Path(messages.__file__).parent
KINDS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
         "sfixed64", "bool", "string", "bytes"]  # fmt: skip


def test_the_descriptors_are_compiled_from_the_proto_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", f"--descriptor_set_out={tmp_path / 'set'}"]
    subprocess.run([*command, "chakra.proto"], check=True, timeout=120)
    assert (tmp_path / "set").read_bytes() == (FOLDER / "chakra.binpb").read_bytes()


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (Node, "id name type ctrl_deps data_deps start_time_micros duration_micros inputs outputs attr"),
        (GlobalMetadata, "version attr"),
        (IOInfo, "values shapes types"),
        (AttributeProto, "name doc_string " + " ".join(f"{kind}_val {kind}_list" for kind in KINDS)),
    ],
)
def test_fields_have_the_numbers_of_the_standard(message: type, names: str) -> None:
    found = {f.number: f.name for f in message.DESCRIPTOR.fields}  # type: ignore[attr-defined]
    assert found == dict(enumerate(names.split(), start=1))


def test_the_types_of_nodes_are_those_of_the_model() -> None:
    named = {v.number: v.name.removesuffix("_NODE") for v in Node.DESCRIPTOR.fields_by_name["type"].enum_type.values}
    assert named == {int(member): member.name for member in NodeType}


def test_the_tables_of_the_kernel_know_every_field() -> None:
    assert sum(fields.KIND > 0) == len(fields.FIELDS) == sum(len(m.fields) for m in messages.MESSAGES)
    assert fields.name_of(fields.code_of("Node", "ctrl_deps")) == "Node.ctrl_deps"
    assert fields.name_of(fields.NODE * fields.NUMBERS) == "Node"
    assert max(f.number for f in fields.FIELDS.values()) < fields.NUMBERS
