"""A real broker on loopback: `noida-db` of PyPI, which keeps what it has in a directory."""

import os
import shutil
import sys
import tempfile

from confluent_kafka.admin import AdminClient

from private_cluster import Process, free_ports, wait_until


class Broker:
    def __init__(self):
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
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

    def kill(self):
        """The processes at once, and what they had."""
        for pid in reversed(self.process.pids()):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self.process.stop()
        shutil.rmtree(os.path.join(self.directory, "data"), ignore_errors=True)

    def stop(self):
        if self.process:
            self.process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
