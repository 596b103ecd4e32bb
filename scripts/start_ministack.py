"""Starts MiniStack, a local stand-in for AWS, so that the example stack can run on it.

    .tools/venv/bin/python scripts/start_ministack.py [PORT]

PORT is 4566 unless given. It runs in the foreground, on the loopback interface only, keeps everything in memory, and
ends on Ctrl-C or SIGTERM. Deploy to it with `--endpoint-url http://127.0.0.1:PORT --region us-east-1` and any credentials.

Three things are set right here that a bare `ministack` does not do:

* Functions with the runtime `provided.al2023` find AWS through `AWS_ENDPOINT_URL`, which MiniStack 1.5 hands on only
  if it is in its own environment.
* Step Functions evaluates a JSONata expression as `TimeoutSeconds` (States language specification, "Task state").
  MiniStack 1.5 passes the text on, and the execution fails with `States.Runtime`. The breaker's backoff is such an
  expression, so it is evaluated here, by MiniStack's own evaluator.
* Lambda keeps the event metrics of a mapping (UpdateEventSourceMapping, `MetricsConfig`) and answers with them. MiniStack
  1.5 drops them, so that `breaker deploy` would switch them on each time anew. They are remembered here; there are no
  metrics all the same.
"""

import os
import sys

DEFAULT_PORT = 4566

# Fields of a Task state that hold a number of seconds or an expression that gives one.
TASK_SECONDS = ("TimeoutSeconds", "HeartbeatSeconds")


def fail(what, hint):
    print(f"error: {what}\nhint: {hint}", file=sys.stderr)
    raise SystemExit(2)


def chosen_port(arguments):
    if len(arguments) > 1:
        fail("more than one argument was given", "usage: scripts/start_ministack.py [PORT]")
    text = arguments[0] if arguments else str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        fail(f"{text!r} is no port", "allowed is a whole number from 1 to 65535")
    return int(text)


def set_environment(port):
    """MiniStack reads its settings when it is imported, so this comes first."""
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        # Its listeners for SFTP and MQTT have fixed ports, which two copies would fight for.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")


def another_version(error):
    fail(
        f"this MiniStack is not the one that is pinned: {error}",
        "install scripts/requirements.txt, which `scripts/check shell` does, or correct scripts/start_ministack.py",
    )


def evaluate_task_seconds():
    from ministack.services import stepfunctions

    try:
        original = stepfunctions._execute_task
        evaluate = stepfunctions._jsonata_state_field
        language = stepfunctions._state_query_language
    except AttributeError as error:
        another_version(error)

    def execute_task(state, raw_input, execution, context):
        if language(state, context) == "JSONata":
            seconds = {
                field: evaluate(state, field, "number", raw_input, context)
                for field in TASK_SECONDS
                if isinstance(state.get(field), str)
            }
            state = {**state, **seconds}
        return original(state, raw_input, execution, context)

    stepfunctions._execute_task = execute_task


def remember_event_metrics():
    from ministack.services import lambda_svc

    try:
        original = lambda_svc._update_esm
        mappings = lambda_svc._esms
    except AttributeError as error:
        another_version(error)

    def update_esm(mapping_id, data):
        # What is refused leaves the mapping as it was, so this comes second; the answer then needs to be made again.
        answer = original(mapping_id, data)
        mapping = mappings.get(mapping_id)
        if mapping is None or "MetricsConfig" not in data or answer[0] >= 400:
            return answer
        mapping["MetricsConfig"] = data["MetricsConfig"]
        return original(mapping_id, {})

    lambda_svc._update_esm = update_esm


def main():
    port = chosen_port(sys.argv[1:])
    sys.argv = sys.argv[:1]
    set_environment(port)
    try:
        import ministack.app
    except ModuleNotFoundError as error:
        fail(f"the Python module {error.name} is missing", "`scripts/check shell` installs it into .tools/venv, whose Python is the one to use")
    evaluate_task_seconds()
    remember_event_metrics()
    ministack.app.main()


if __name__ == "__main__":
    main()
