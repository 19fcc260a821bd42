"""A gRPC server with the standard health service, of Google's own library."""

from __future__ import annotations

from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

Status = health_pb2.HealthCheckResponse.ServingStatus


class GrpcServer:
    """A server that runs: what its services say, and the metadata that reached it."""

    def __init__(self) -> None:
        self.port = 0
        self.health = health.HealthServicer()
        self.metadata: list[tuple[str, str | bytes]] = []

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def says(self, service: str, status: str) -> None:
        self.health.set(service, Status.Value(status))


class _Listening(grpc.ServerInterceptor):
    def __init__(self, server: GrpcServer) -> None:
        self._server = server

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self._server.metadata += [(key, value) for key, value in details.invocation_metadata]

        return continuation(details)


@contextmanager
def serve_grpc(
    *, tls: tuple[bytes, bytes] | None = None, with_health: bool = True
) -> Iterator[GrpcServer]:
    """Serve on a free port of loopback; `tls` are the key and the chain, in PEM."""
    running = GrpcServer()
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4), interceptors=[_Listening(running)]
    )
    if with_health:
        health_pb2_grpc.add_HealthServicer_to_server(running.health, server)
        running.says("", "SERVING")
    if tls is None:
        running.port = server.add_insecure_port("localhost:0")
    else:
        running.port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([tls]))
    server.start()
    try:
        yield running
    finally:
        server.stop(grace=None).wait()
