"""What people do, one function an act: the same for the command line, the API and Slack."""

from monitor.operations.dead_letters import requeue
from monitor.operations.deploys import DeployMarker, announce_deploy, read_marker
from monitor.operations.desk import Desk, NotFound, OperationError
from monitor.operations.headers import accept_headers
from monitor.operations.incidents import acknowledge, label, note, open_incident, resolve
from monitor.operations.notices import Tried, try_notifier
from monitor.operations.pings import take_ping
from monitor.operations.recall import list_incidents, show_incident, write_postmortem
from monitor.operations.rollbacks import (
    approve,
    report_rollback,
    report_rollbacks,
    start,
    veto,
)
from monitor.operations.silences import (
    LONGEST_SILENCE,
    add_silence,
    list_silences,
    remove_silence,
)
from monitor.operations.status import report_status

__all__ = [
    "LONGEST_SILENCE",
    "DeployMarker",
    "Desk",
    "NotFound",
    "OperationError",
    "Tried",
    "accept_headers",
    "acknowledge",
    "add_silence",
    "announce_deploy",
    "approve",
    "label",
    "list_incidents",
    "list_silences",
    "note",
    "open_incident",
    "read_marker",
    "remove_silence",
    "report_rollback",
    "report_rollbacks",
    "report_status",
    "requeue",
    "resolve",
    "show_incident",
    "start",
    "take_ping",
    "try_notifier",
    "veto",
    "write_postmortem",
]
