"""A collector of traces (OTLP over HTTP, protobuf), as operators have one; it keeps what it is sent."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Listens on loopback from its making until `close`."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="collector", daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What a city is told to send its spans here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }

    def spans(self) -> list[tuple[str, str]]:
        """Part and name of every span that came."""
        return [
            (attribute.value.string_value, span.name)
            for body in list(self.received)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for attribute in group.resource.attributes
            if attribute.key == "service.name"
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()
