"""A real broker on loopback: `noida-db` of PyPI, which keeps what it has in a directory."""

import os
import shutil
import signal
import sys
import tempfile

from confluent_kafka.admin import AdminClient

from private_cluster import Process, free_ports, wait_until


class Broker:
    def __init__(self):
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        self.entrance = self.address  # Where the cluster comes in.
        self.directory = tempfile.mkdtemp(prefix="rollcall-broker-")
        self.process = None

    def start(self):
        program = os.path.join(os.path.dirname(sys.executable), "noida-db")
        self.process = Process(
            [program, "start", "--data-dir", os.path.join(self.directory, "data"), "--only", "kafka", "--kafka-port",
             str(self.port)], os.path.join(self.directory, "broker.log"))
        wait_until(self.answers, 60, "the broker answers", self.process.tail)
        return self

    def answers(self):
        self.process.require_alive()
        try:
            return AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=1)
        except Exception:
            return None

    def end(self, number):
        # The program that was started runs another, which outlives it.
        for pid in reversed(self.process.pids()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        self.process.stop()

    def kill(self):
        """The processes at once, and what they had."""
        self.end(signal.SIGKILL)
        shutil.rmtree(os.path.join(self.directory, "data"), ignore_errors=True)

    def stop(self):
        if self.process and self.process.child.poll() is None:
            self.end(signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)
