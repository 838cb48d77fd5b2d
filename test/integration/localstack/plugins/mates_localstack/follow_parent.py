"""Ends LocalStack when the process that started it has gone, be it by SIGKILL: nothing is left running."""

import os
import threading
import time

from localstack.runtime import hooks


@hooks.on_infra_start()
def mates_follow_parent():
    parent = os.environ.get("MATES_PARENT_PID")
    if parent:
        threading.Thread(target=follow, args=(int(parent),), daemon=True).start()


def follow(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
