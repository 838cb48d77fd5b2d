"""Runs a Node.js function as a child process of LocalStack: one process an execution environment, as on Lambda."""

import json
import os
import subprocess
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

BOOTSTRAP = str(Path(__file__).with_name("lambda-bootstrap.cjs"))
PASSED = ("PATH", "HOME", "TMPDIR", "LANG")
START_SECONDS = 60
"""Lambda gives ten; a machine that runs the whole cloud may be slower."""


class NodeProcessExecutor(RuntimeExecutor):
    def __init__(self, id, function_version):
        super().__init__(id=id, function_version=function_version)
        self.process = None
        self.answers = Queue()
        self.log = []
        self.environment = {}

    def start(self, env_vars):
        self.environment = {name: str(value) for name, value in env_vars.items()}
        self._spawn()

    def _spawn(self):
        code = str(self.function_version.config.code.get_unzipped_code_location())
        read, write = os.pipe()
        own = {"LAMBDA_TASK_ROOT": code, "MATES_ANSWER_FD": str(write), "TZ": "UTC"}
        # Who calls, for record_calls.py.
        own["AWS_SDK_UA_APP_ID"] = f"function.{self.environment.get('MATES_FUNCTION', 'other')}"
        self.process = subprocess.Popen(
            ["node", "--enable-source-maps", BOOTSTRAP],
            cwd=code,
            env={name: os.environ[name] for name in PASSED if name in os.environ} | self.environment | own,
            pass_fds=(write,),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.close(write)
        self.answers = Queue()
        Thread(target=self._read_answers, args=(os.fdopen(read), self.answers), daemon=True).start()
        Thread(target=self._read_log, args=(self.process.stdout,), daemon=True).start()
        self.answers.get(timeout=START_SECONDS)  # {"ready": true}

    @staticmethod
    def _read_answers(stream, answers):
        for line in stream:
            answers.put(json.loads(line))
        answers.put(None)  # the process has ended

    def _read_log(self, stream):
        for line in stream:
            self.log.append(line)

    def invoke(self, payload):
        if self.process.poll() is not None:
            self._spawn()
        request = payload["invoke-id"]
        seen = len(self.log)
        self.process.stdin.write(json.dumps(payload) + "\n")
        self.process.stdin.flush()
        answer = self._answer(request)
        body = json.dumps(answer["error"] if "error" in answer else answer.get("result")).encode()
        return InvocationResult(request, body, is_error="error" in answer, logs="".join(self.log[seen:]))

    def _answer(self, request):
        seconds = self.function_version.config.timeout
        try:
            answer = self.answers.get(timeout=seconds)
        except Empty:
            self.process.kill()
            return failure("Sandbox.Timedout", f"RequestId: {request} Error: Task timed out after {seconds}.00 seconds")
        if answer is None:
            return failure("Runtime.ExitError", f"RequestId: {request} Error: Runtime exited")
        return answer

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return "http://127.0.0.1"

    def get_logs(self):
        return "".join(self.log)

    @classmethod
    def prepare_version(cls, function_version):
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        """Nothing of a version is kept outside LocalStack's own folders."""


def failure(kind, message):
    return {"error": {"errorType": kind, "errorMessage": message}}
