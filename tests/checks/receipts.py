"""`python -m tests.checks.receipts`: no answer can leave the system without a receipt, by what the code says.

Types hold most of it (core/release.py); what they cannot see is looked at here. In the contracts: every
method that the gateway may call is a composing service's and answers with a receipt, or stands with its
reason in core/access.py. In the code: what the disclosure protocol alone may make is made there alone, and a
servicer's method that answers the gateway goes through `releasing` or `answer_batch`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from onestop.agricredit.v1 import agricredit_pb2
from onestop.autofill.v1 import autofill_pb2
from onestop.datanode.v1 import datanode_pb2
from onestop.eseal.v1 import bulk_pb2, eseal_pb2, remote_pb2, template_pb2
from onestop.issuer.v1 import issuer_pb2
from onestop.ledger.v1 import ledger_pb2
from onestop.licence.v1 import licence_pb2

from core.access import CALLERS, COMPOSERS, GATEWAY, RELEASING_PARTS, WITHOUT_RECEIPT, releases

ROOT = Path(__file__).resolve().parents[2]

CONTRACTS = {
    "licence": (licence_pb2.DESCRIPTOR,),
    "autofill": (autofill_pb2.DESCRIPTOR,),
    "eseal": (eseal_pb2.DESCRIPTOR, remote_pb2.DESCRIPTOR, bulk_pb2.DESCRIPTOR, template_pb2.DESCRIPTOR),
    "agricredit": (agricredit_pb2.DESCRIPTOR,),
    "datanode": (datanode_pb2.DESCRIPTOR,),
    "issuer": (issuer_pb2.DESCRIPTOR,),
    "ledger": (ledger_pb2.DESCRIPTOR,),
}
RECEIPT = "onestop.common.v1.Receipt"

ONLY_IN: Mapping[str, frozenset[str]] = {
    "Released": frozenset({"core/disclosure.py", "core/together.py"}),
    "Answered": frozenset({"core/release.py"}),
    "receipt_to_pb": frozenset({"core/release.py", "core/replies.py", "services/ledger/rpc.py"}),
    "receipt_pb2.Receipt": frozenset({"core/ledger.py", "core/replies.py"}),
}
"""Who may call what makes a released answer, or a receipt on the wire."""


def main() -> int:
    """Prints what breaks the rules; 1 if anything does."""
    faults = [*contract_faults(), *code_faults(sources(ROOT))]
    for fault in faults:
        print(f"receipts: {fault}")
    return 1 if faults else 0


def contract_faults() -> Iterator[str]:
    """Methods whose answers have no place for a receipt, and entries of the list that are no such methods."""
    served = {path.split(".")[1] for path in CALLERS if path.startswith("/onestop.")}
    if missing := sorted(served - CONTRACTS.keys()):
        yield f"tests/checks/receipts.py does not know the contracts of {', '.join(missing)}"
    methods = {path: method for part in CONTRACTS for path, method in _methods(part)}
    for path, method in methods.items():
        if not CALLERS.get(path, frozenset()) & GATEWAY:
            continue
        explained, carries = path in WITHOUT_RECEIPT, carries_receipt(method.output_type)
        part = path.split(".")[1]
        if not explained and not (part in RELEASING_PARTS and carries):
            yield f"{path} answers the gateway without a receipt; core/access.py does not say why"
        if explained and part in COMPOSERS and carries:  # The ledger's own receipts are what it is asked for.
            yield f"{path} answers with a receipt, and core/access.py says that it needs none"
    for part in sorted(RELEASING_PARTS & CONTRACTS.keys()):
        for contract in CONTRACTS[part]:
            if contract.services_by_name and not (ROOT / face_of(part, contract)).exists():
                yield f"{contract.name} is served where nobody looks: {face_of(part, contract)} is not there"
    for path, why in WITHOUT_RECEIPT.items():
        if path not in methods or not CALLERS.get(path, frozenset()) & GATEWAY:
            yield f"core/access.py: {path} is no method that the gateway may call"
        if not why.strip():
            yield f"core/access.py: {path} needs a reason"


def carries_receipt(message: Descriptor) -> bool:
    """Whether an answer, or each result of a batch, has a receipt, or names the one that it encrypts."""
    fields = message.fields_by_name
    if "results" in fields and (result := fields["results"].message_type) is not None:
        return carries_receipt(result)
    return any(
        (one.message_type is not None and one.message_type.full_name == RECEIPT)
        or (one.name == "receipt_id" and one.type == FieldDescriptor.TYPE_STRING)
        for one in message.fields
    )


def code_faults(sources: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What sources, by their path within the project, do that only the protocol may."""
    for path, text in sources:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield from _call_faults(path, node)
            elif isinstance(node, ast.alias) and node.asname and node.name in ONLY_IN:
                yield f"{path}:{node.lineno}: {node.name} keeps its name, so that it can be found"
        part = path.split("/")[1] if path.startswith("services/") else ""
        for contract in CONTRACTS.get(part, ()) if part in RELEASING_PARTS else ():
            if path == face_of(part, contract):
                yield from _servicer_faults(path, contract, tree)


def face_of(part: str, contract: FileDescriptor) -> str:
    """Where a contract is served: the part's own in rpc.py, another in the room that bears its name."""
    name = contract.name.rpartition("/")[2].removesuffix(".proto")
    if name == part:
        return f"services/{part}/rpc.py"
    rooms = (f"services/{part}/{room}/rpc.py" for room in (name, f"{name}s"))
    return next((room for room in rooms if (ROOT / room).is_file()), f"services/{part}/{name}/rpc.py")


def _call_faults(path: str, node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    for name, places in ONLY_IN.items():
        if path in places:
            continue
        # By whatever name it was imported: `Released(…)`, `entries.Released(…)`, `Answered[pb.Result](…)`.
        plain = called.partition("[")[0]
        if plain == name or plain.endswith(f".{name}"):
            yield f"{path}:{node.lineno}: {name} is called outside {', '.join(sorted(places))}"
    if called.endswith("__new__") and path != "core/release.py" and node.args:
        first = ast.unparse(node.args[0]).partition("[")[0]
        if first.rpartition(".")[2] in {"Released", "Answered"}:
            yield f"{path}:{node.lineno}: {first} is made around its constructor"


def _servicer_faults(path: str, contract: FileDescriptor, tree: ast.Module) -> Iterator[str]:
    """Methods of the contract that answer the gateway and go neither of the two ways."""
    leaving = {method.name: method for full, method in _methods_of(contract) if releases(full)}
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.AsyncFunctionDef) or node.name not in leaving:
            continue
        found.add(node.name)
        if leaving[node.name].server_streaming:
            if not any(
                isinstance(one, ast.Name) and one.id == "releasing_stream" for one in node.decorator_list
            ):
                yield f"{path}:{node.lineno}: {node.name} streams without being marked @releasing_stream"
        elif "results" in leaving[node.name].output_type.fields_by_name:
            if not _batch(node):
                yield f"{path}:{node.lineno}: {node.name} answers a batch and not with answer_batch alone"
        elif not any(isinstance(one, ast.Name) and one.id == "releasing" for one in node.decorator_list):
            yield f"{path}:{node.lineno}: {node.name} answers the gateway and is not marked @releasing"
    for name in sorted(leaving.keys() - found):
        yield f"{path}: {name} is not served here as a method of its own"


def _batch(node: ast.AsyncFunctionDef) -> bool:
    """Whether what is returned is a response of results, and those come from answer_batch alone."""
    names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
    named = [one.id for one in names if not isinstance(one.ctx, ast.Load)]
    # A name that is given once, and by answer_batch; read once, to be returned.
    given = {
        one.targets[0].id
        for one in _own(node)
        if isinstance(one, ast.Assign)
        and _is_batch(one.value)
        and isinstance(one.targets[0], ast.Name)
        and named.count(one.targets[0].id) == 1
    }
    read = [one.id for one in names if isinstance(one.ctx, ast.Load)]
    returned = [one.value for one in _own(node) if isinstance(one, ast.Return)]
    return bool(returned) and all(
        isinstance(value, ast.Call)
        and not value.args
        and [one.arg for one in value.keywords] == ["results"]
        and (
            _is_batch(results := value.keywords[0].value)
            or (isinstance(results, ast.Name) and results.id in given and read.count(results.id) == 1)
        )
        for value in returned
    )


def _own(node: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """A function's nodes without those of functions within it."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield one
        waiting.extend(ast.iter_child_nodes(one))


def _is_batch(node: ast.AST) -> bool:
    """Whether this is `await answer_batch(…)`."""
    call = node.value if isinstance(node, ast.Await) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "answer_batch"


def _methods(part: str) -> Iterator[tuple[str, MethodDescriptor]]:
    """The methods of a part's contracts, by the path under which they are called."""
    for contract in CONTRACTS[part]:
        yield from _methods_of(contract)


def _methods_of(contract: FileDescriptor) -> Iterator[tuple[str, MethodDescriptor]]:
    for service in contract.services_by_name.values():
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}", method


def sources(root: Path) -> Iterator[tuple[str, str]]:
    """The paths within the project and the texts of what is looked at."""
    for folder in ("core", "services", "gateway"):
        for path in sorted((root / folder).rglob("*.py")):
            yield str(path.relative_to(root)), path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
