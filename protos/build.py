"""Builds `gen/` from the contracts: messages, stubs, type stubs, and the image that buf reads.

The rules' own contract, `buf/validate/validate.proto`, travels inside the protovalidate package as a
descriptor, so nothing of another project is copied here.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.rpc import status_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
RULES = "buf/validate/validate.proto"


def rules_descriptor() -> bytes:
    """The FileDescriptorSet of the validation rules and what they import."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return files.SerializeToString()


def run_protoc(arguments: list[str]) -> None:
    """Runs protoc; its own message says what is wrong."""
    if protoc.main(["protoc", *arguments]) != 0:
        raise SystemExit("protoc refused the contracts; its message stands above")


def build(target: Path) -> None:
    """Writes everything into `target`, which is emptied first."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("onestop/**/*.proto"))
    google = Path(status_pb2.__file__).parent.parent.parent
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        rules = Path(scratch) / "rules.binpb"
        rules.write_bytes(rules_descriptor())
        wellknown = Path(grpc_tools.__file__).parent / "_proto"
        common = [f"-I{PROTOS}", f"-I{google}", f"-I{wellknown}", f"--descriptor_set_in={rules}"]
        run_protoc(
            [
                *common,
                f"--python_out={target}",
                f"--grpc_python_out={target}",
                f"--mypy_out=quiet,readable_stubs:{target}",
                f"--mypy_grpc_out=quiet:{target}",
                *sources,
            ]
        )
        run_protoc([f"--descriptor_set_in={rules}", f"--python_out={target}", RULES])
        run_protoc([f"--descriptor_set_in={rules}", f"--mypy_out=quiet:{target}", RULES])
        run_protoc(
            [
                *common,
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={target / 'onestop.binpb'}",
                *sources,
            ]
        )


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "gen")
