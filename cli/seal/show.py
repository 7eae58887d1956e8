"""What `onestop seal` shows: seals, where they stand, who may use them, and what was done with them."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import cast
from uuid import UUID

from cryptography import x509

from cli.operator import OperatorError
from cli.seal.session import DONE, Q, Rows, run
from services.eseal.domain import SealState


def main() -> int:
    """Reads the command line, whose own name ends in `list` or `show`, and does it."""
    parser = argparse.ArgumentParser(prog=sys.argv[0], description="Shows seals; nothing is changed.")
    if sys.argv[0].endswith("show"):
        parser.add_argument("seal", type=UUID, help="its id")
        seal: UUID = parser.parse_args().seal
        return run(lambda connection: show_one(connection, seal))
    parser.add_argument("--owner", metavar="USCC")
    parser.add_argument("--state", choices=[state.name.lower() for state in SealState])
    arguments = parser.parse_args()
    return run(lambda connection: show_seals(connection, arguments.owner, arguments.state))


def show_seals(connection: Rows, owner: str | None, state: str | None) -> int:
    """A line for each seal, of one owner or of all, in one state or in any."""
    wanted = SealState[state.upper()] if state else None
    standing = SealState.IN_FORCE if wanted is SealState.EXPIRED else wanted
    values = {"owner": owner, "standing": standing.value if standing else None}
    shown = 0
    for seal, stands, is_over, name, owner_code, kind, code in connection.execute(Q.seals.encode(), values):
        told = _state(stands, is_over)
        if wanted is None or told == wanted.name.lower():
            print(f"{seal}  {told:<9}  {owner_code}  {code}  {kind}  {name}")
            shown += 1
    if not shown:
        print("there is no such seal")
    return DONE


def show_one(connection: Rows, seal: UUID) -> int:
    """A seal with its permissions and its history. Raises OperatorError where there is none."""
    about = {"seal": seal}
    row = connection.execute(Q.seal.encode(), about).fetchone()
    left = connection.execute(Q.not_done.encode(), about).fetchall()
    if row is None and not left:
        raise OperatorError("there is no such seal")
    if row is not None:
        _tell(row)
        for rule in connection.execute(Q.permissions.encode(), about):
            print(f"  may be used by {_rule(rule)}")
        for act in connection.execute(Q.history.encode(), about):
            step, action, actor, _, done_at, reason, details = act
            more = f" {details}" if details != "{}" else ""
            print(f"  {step}. {_time(done_at)}  {action} by {actor}: {reason}{more}")
    for request, action, asked_by, asked_at, refusal in left:
        ended = f"refused: {refusal}" if refusal else "not done yet"
        print(f"  {_time(asked_at)}  {action} asked for by {asked_by} (request {request}): {ended}")
    return DONE


def _tell(row: tuple[object, ...]) -> None:
    name, standing, is_over, owner, owner_type, kind, code, begins, ends, *of_key = row
    algorithm, digest, destroyed, certificate, size, picture, width = of_key
    print(f"{name}: {_state(standing, is_over)}")
    print(f"  {kind} seal of the {owner_type} {owner}, code {code}, {_time(begins)} to {_time(ends)}")
    if algorithm:
        gone = f"; the key was destroyed {_time(destroyed)}" if destroyed else ""
        serial = x509.load_der_x509_certificate(cast(bytes, certificate)).serial_number
        print(f"  {algorithm}, certificate {digest}, serial number {serial:x}{gone}")
    if picture:
        print(f"  picture of its owner's own: {size} bytes, SHA-256 {picture}, {width:g} mm wide")


def _state(standing: object, is_over: object) -> str:
    state = SealState(cast(int, standing))
    return "expired" if state is SealState.IN_FORCE and is_over else state.name.lower()


def _rule(row: tuple[object, ...]) -> str:
    office, matter, operator, caller, per_day, in_all, today, whole = row
    told = [f"office {office}", f"matter {matter}" if matter else "every matter"]
    told += [f"{what} {value}" for what, value in (("operator", operator), ("caller", caller)) if value]
    told += [
        f"{used} of {limit} {when}"
        for limit, used, when in ((per_day, today, "today"), (in_all, whole, "in all"))
        if limit
    ]
    return ", ".join(told)


def _time(moment: object) -> str:
    return f"{cast(datetime, moment):%Y-%m-%d %H:%M:%S%z}"
