"""Starts the development authority: `python -m deploy.authority`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import UTC, datetime
from types import FrameType

from deploy.authority.answers import Answer, Answers, Asked
from deploy.authority.config import AuthorityConfig
from deploy.authority.issuers import load_issuers, load_stamper
from deploy.authority.revocations import REVOKED, Revocations
from deploy.authority.server import Server, tell
from deploy.authority.status import Status

WRONG_SETTINGS = 2


def main() -> int:
    """Serves until SIGTERM or SIGINT; 2 after a line for each setting that is wrong."""
    try:
        config = AuthorityConfig.from_env(os.environ)
        issuers = load_issuers(config.authority_pki)
        status = Status(issuers, Revocations(config.authority_pki / REVOKED))
        answers = Answers(load_stamper(config.authority_pki), status)
    except (OSError, ValueError) as fault:
        print(fault, file=sys.stderr)
        return WRONG_SETTINGS
    if "--check" in sys.argv[1:]:
        print("the settings are complete")
        return 0

    def answering(asked: Asked) -> Answer:
        return answers.to(asked, datetime.now(UTC))

    host, _, port = config.listen.rpartition(":")
    with Server(host, int(port), answering) as server:

        def stop(_number: int, _frame: FrameType | None) -> None:
            # Not from this thread: it waits for the loop that it would interrupt.
            threading.Thread(target=server.shutdown).start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        tell("listening", address=config.listen)
        server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
