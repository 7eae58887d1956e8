"""`onestop seal apply|make|enable|…`: asks for an act of a seal's life, and waits for it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4, uuid5

import psycopg

from cli.operator import OperatorError
from cli.seal.picture import upload_of
from cli.seal.session import DONE, FAILED, NOT_YET, Q, Rows, run
from cli.seal.words import parser
from core.clock import now
from core.identifiers import check_uscc
from services.eseal.domain import SealState
from services.eseal.lifecycle import STEPS, USUAL_SHAPE, Action, Application, Role

_LOOK_SECONDS = 0.25


def main() -> int:
    """Reads the command line, whose own name ends in the act, and does it."""
    action = Action(sys.argv[0].rpartition(" ")[2])
    arguments = parser(action).parse_args()
    return run(lambda connection: _ask(connection, arguments, action))


def _ask(connection: Rows, arguments: argparse.Namespace, action: Action) -> int:
    request: UUID = arguments.request or uuid4()
    values = {"request": request, "reason": arguments.reason, "action": action.value}
    if action is Action.APPLY:
        seal = uuid5(request, "seal")
        facts = _facts(_application(arguments))
        _put(connection, Q.apply, {**values, "seal": seal, "facts": facts}, action)
    else:
        seal = arguments.seal
        statement = Q.ask_as_security if _is_securitys(connection, action) else Q.ask_as_administration
        details = _details(arguments, action)
        _put(connection, statement, {**values, "seal": seal, "details": details}, action)
    return _await(connection, request, seal, action, arguments.wait)


def _put(connection: Rows, statement: str, values: Mapping[str, object], action: Action) -> None:
    """Asks for it. Raises OperatorError saying whose it is, or where the seal stands, where that is amiss."""
    try:
        connection.execute(statement.encode(), values)
    except psycopg.errors.InsufficientPrivilege as failure:
        said = failure.diag.message_primary or ""
        if said.startswith("SEAL_"):
            raise
        roles = " or ".join(sorted(f"onestop_{role.value}" for role in _roles(action)))
        raise OperatorError(
            f"permission denied: {action.value} is for a login that belongs to {roles}"
        ) from None
    except psycopg.errors.RaiseException as failure:
        said = failure.diag.message_primary or ""
        row = connection.execute(Q.seal.encode(), {"seal": values["seal"]}).fetchone()
        if row is None or not said.startswith("SEAL_STEP_NOT_POSSIBLE"):
            raise
        before = ", ".join(sorted(state.name.lower() for act, state in STEPS if act is action and state))
        stands = SealState(row[1]).name.lower()
        raise OperatorError(f"{said}: it is {stands}, and {action.value} follows {before}") from None


def _roles(action: Action) -> set[Role]:
    return {role for (act, _), step in STEPS.items() if act is action for role in step.roles}


def _is_securitys(connection: Rows, action: Action) -> bool:
    roles = _roles(action)
    if roles != set(Role):
        return roles == {Role.SECURITY}
    row = connection.execute(Q.is_security.encode()).fetchone()
    return row is not None and bool(row[0])


def _await(connection: Rows, request: UUID, seal: UUID, action: Action, seconds: float) -> int:
    """Says how it ended. What is asked for stays so, whether anybody waits for it or not."""
    until = time.monotonic() + seconds
    while True:
        row = connection.execute(Q.outcome.encode(), {"request": request}).fetchone()
        if row is None:
            raise OperatorError("the request has vanished")
        closed, refusal = row
        if refusal is not None:
            print(f"refused: {refusal}", file=sys.stderr)
            return FAILED
        if closed is not None:
            print(f"{action.value}: done, seal {seal}")
            return DONE
        if time.monotonic() >= until:
            print(f"{action.value}: asked for (request {request}), seal {seal}; not done yet")
            print(f"the seal service does it when it and the ledger are there: onestop seal show {seal}")
            return NOT_YET
        time.sleep(_LOOK_SECONDS)


def _application(arguments: argparse.Namespace) -> Application:
    """Raises InvalidError, NumberMalformedError, CheckDigitError, OperatorError, SealPictureInvalidError."""
    shape = arguments.shape or USUAL_SHAPE[arguments.kind]
    begins: datetime = arguments.valid_from or now().replace(microsecond=0)
    made = Application(
        owner_code=check_uscc(arguments.owner, "owner"),
        owner_name=arguments.owner_name,
        title=arguments.title,
        division=arguments.division,
        valid_from=begins,
        valid_until=arguments.valid_until,
        kind=arguments.kind,
        owner_type=arguments.owner_type,
        shape=shape,
        algorithm=arguments.algorithm,
        upload=upload_of(arguments.picture, arguments.picture_width, shape),
    )
    made.require_sound()
    return made


def _facts(wanted: Application) -> str:
    return json.dumps(
        {
            "owner_code": wanted.owner_code,
            "owner_name": wanted.owner_name,
            "owner_type": wanted.owner_type.value,
            "kind": wanted.kind.value,
            "title": wanted.title,
            "name": wanted.name,
            "shape": wanted.shape.value,
            "division": wanted.division,
            "algorithm": wanted.algorithm.value,
            "valid_from": wanted.valid_from.isoformat(),
            "valid_until": wanted.valid_until.isoformat(),
            **(
                {"picture": f"\\x{upload.file.hex()}", "picture_width": upload.width_mm}
                if (upload := wanted.upload)
                else {}
            ),
        }
    )


def _details(arguments: argparse.Namespace, action: Action) -> str:
    """What a permission says; nothing of other acts."""
    if action not in (Action.PERMIT, Action.WITHDRAW):
        return "{}"
    said = {
        "office": check_uscc(arguments.office, "office"),
        "matter": arguments.matter,
        "operator": arguments.operator,
        "caller": arguments.caller,
    }
    limits = {name: getattr(arguments, name, None) for name in ("per_day", "in_all")}
    return json.dumps(
        {
            **{name: value for name, value in said.items() if value},
            **{name: limit for name, limit in limits.items() if limit},
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
