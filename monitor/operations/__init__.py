"""What people do, one function an act: the same for the command line, the API and Slack."""

from monitor.operations.deploys import DeployMarker, announce_deploy, read_marker
from monitor.operations.desk import Desk, NotFound, OperationError
from monitor.operations.headers import accept_headers
from monitor.operations.incidents import acknowledge, label, note, resolve
from monitor.operations.pings import take_ping
from monitor.operations.rollbacks import (
    approve,
    report_rollback,
    report_rollbacks,
    start,
    veto,
)
from monitor.operations.status import report_status

__all__ = [
    "DeployMarker",
    "Desk",
    "NotFound",
    "OperationError",
    "accept_headers",
    "acknowledge",
    "announce_deploy",
    "approve",
    "label",
    "note",
    "read_marker",
    "report_rollback",
    "report_rollbacks",
    "report_status",
    "resolve",
    "start",
    "take_ping",
    "veto",
]
