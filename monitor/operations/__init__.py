"""What people do, one function an act: the same for the command line, the API and Slack."""

from monitor.operations.deploys import DeployMarker, announce_deploy, read_marker
from monitor.operations.desk import Desk, NotFound, OperationError
from monitor.operations.headers import accept_headers
from monitor.operations.incidents import acknowledge, label, note, resolve
from monitor.operations.pings import take_ping
from monitor.operations.status import report_status

__all__ = [
    "DeployMarker",
    "Desk",
    "NotFound",
    "OperationError",
    "accept_headers",
    "acknowledge",
    "announce_deploy",
    "label",
    "note",
    "read_marker",
    "report_status",
    "resolve",
    "take_ping",
]
