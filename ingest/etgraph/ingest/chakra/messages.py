"""Chakra's messages as classes of the protobuf library, made from the compiled `chakra.proto` beside this module."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "etgraph.chakra.v1"

_POOL = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(
    resources.files(__package__).joinpath("chakra.binpb").read_bytes()
).file:
    _POOL.Add(_file)


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


GlobalMetadata: Final = _message("GlobalMetadata")
Node: Final = _message("Node")
IOInfo: Final = _message("IOInfo")
AttributeProto: Final = _message("AttributeProto")
MESSAGES: Final = tuple(_POOL.FindFileByName("chakra.proto").message_types_by_name.values())
"""Descriptors of all messages, in the order of the file."""
