from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import orjson
import pytest
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web import RequestPayloadError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from steersman.runtime import logs
from steersman.runtime.logs import JsonFormatter
from steersman.runtime.settings import Log


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def line_of(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter("router").format(record)
    assert "\n" not in text
    line: dict[str, object] = orjson.loads(text)
    return line


def record(message: str = "it is %s", *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, message, args, None, extra=extra)


def test_a_line_is_one_json_object_with_its_extras() -> None:
    line = line_of(record("it is %s", "so", seconds=1.5, tier="weak"))
    assert line["message"] == "it is so"
    assert line["level"] == "INFO"
    assert line["service"] == "router"
    assert line["logger"] == "x"
    assert (line["seconds"], line["tier"]) == (1.5, "weak")
    assert str(line["time"]).endswith("+00:00")
    assert "trace_id" not in line


def test_an_extra_that_json_does_not_know_is_written_as_text() -> None:
    assert line_of(record("x", odd=object))["odd"] == str(object)


def test_a_traceback_stays_on_its_line() -> None:
    try:
        int("as the test wishes")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    assert "ValueError: invalid literal" in str(line_of(failed)["exception"])


def test_a_line_belongs_to_its_trace() -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s")
    with trace.use_span(span):
        line = line_of(record("x"))
    context = span.get_span_context()
    assert line["trace_id"] == trace.format_trace_id(context.trace_id)
    assert line["span_id"] == trace.format_span_id(context.span_id)


@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize(("form", "first"), [("json", "{"), ("text", "2")])
def test_logs_go_to_standard_error_in_the_form_wanted(
    capsys: pytest.CaptureFixture[str], form: str, first: str
) -> None:
    logs.configure(Log.model_validate({"level": "WARNING", "format": form}), service="router")
    logging.getLogger("y").info("unheard")
    logging.getLogger("y").warning("heard")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(first)
    assert "unheard" not in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize("error", [BadHttpMessage("a secret"), RequestPayloadError("a secret")])
def test_what_is_quoted_of_malformed_http_is_not_logged(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    logs.configure(Log(), service="router")
    server = logging.getLogger("aiohttp.server")
    server.error("Unhandled exception", exc_info=error)
    server.error("Unhandled exception", exc_info=ValueError("of ours"))
    written = capsys.readouterr().err
    assert "secret" not in written
    assert "of ours" in written
