"""What the contracts say about themselves: the comments in `gen/onestop.binpb`, by full name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

IMAGE = Path(__file__).resolve().parent.parent / "gen" / "onestop.binpb"

# Field numbers of descriptor.proto, of which the paths of SourceCodeInfo are made.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED, _NESTED_ENUMS, _MEMBERS = 2, 3, 4, 2

_CALLED_BY = re.compile(r"\s*Called by [^.]*\.")


@cache
def comments() -> dict[str, str]:
    """The leading comment of each message, field, enumeration, value, service and method that has one."""
    image = FileDescriptorSet.FromString(IMAGE.read_bytes())
    return {name: text for file in image.file for name, text in _of_file(file)}


def described(name: str) -> str:
    """The comment as prose; empty where there is none."""
    return comments().get(name, "")


def method_text(name: str) -> str:
    """A method's comment without what concerns the inside only."""
    return _CALLED_BY.sub("", described(name)).replace("Item errors:", "Errors:").strip()


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_names(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        text = " ".join(location.leading_comments.split())
        if name and text:
            yield name, text


def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, message in enumerate(file.message_type):
        yield from _of_message(message, (_MESSAGES, index), file.package)
    for index, enum in enumerate(file.enum_type):
        here = (_ENUMS, index)
        yield here, f"{file.package}.{enum.name}"
        for position, value in enumerate(enum.value):
            yield (*here, _MEMBERS, position), f"{file.package}.{enum.name}.{value.name}"
    for index, service in enumerate(file.service):
        here = (_SERVICES, index)
        yield here, f"{file.package}.{service.name}"
        for position, method in enumerate(service.method):
            yield (*here, _MEMBERS, position), f"{file.package}.{service.name}.{method.name}"


def _of_message(
    message: DescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    for position, member in enumerate(message.field):
        yield (*path, _FIELDS, position), f"{name}.{member.name}"
    for position, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*path, _NESTED, position), name)
    for position, enum in enumerate(message.enum_type):
        yield (*path, _NESTED_ENUMS, position), f"{name}.{enum.name}"
