"""The websocket servers that compare.py measures: how each is started, where it is subscribed to and published at, and
which processes are its own."""

import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../sip"))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
from private_cluster import Cluster, Process, free_ports, wait_until  # noqa: E402
from servers import cpu_us, resident  # noqa: E402,F401

DOMAIN = "demo.example"


class Frontier:
    """What all of them say of themselves."""

    name = ""
    # What a subscriber says first, and when it comes back; nothing where being connected is enough.
    say = again = None

    def fanout_options(self):
        """The options of `wsload` that say where to subscribe and publish, and what."""
        said = [*(["--say", self.say] if self.say else []), *(["--again", self.again] if self.again else [])]
        return ["--port", str(self.port), "--path", self.path, *said, "--publish-port", str(self.publish_port),
                "--publish-path", self.publish_path, "--type", self.type, "--body", self.body]

    def memory(self):
        return sum(resident(pid) for pid in self.frontier_pids())

    def stop(self):
        self.process.stop()
        self.directory.cleanup()


class Nchan(Frontier):
    """nginx with one worker, as many as there are event loops in Rollcall's node on two processors."""

    name = "nchan"
    path, publish_path = "/subscribe", "/publish"
    type, body = "text/plain", "@"

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nchan-")
        # The worker is another user.
        os.chmod(self.directory.name, 0o755)
        self.port = self.publish_port = free_ports(1)[0]
        config = f"{self.directory.name}/nchan.conf"
        with open(os.path.join(HERE, "nchan.conf")) as source, open(config, "w") as copy:
            copy.write(source.read().replace("PORT", str(self.port)))
        self.process = Process(["nginx", "-p", self.directory.name, "-c", config], f"{self.directory.name}/log")
        wait_until(lambda: self.process.require_alive() and self.answers(), 20, "nginx answers", self.process.tail)

    def answers(self):
        import urllib.request
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def pids(self):
        return self.process.pids()

    def frontier_pids(self):
        return self.pids()


class Rollcall(Frontier):
    """A router, an owner and a websocket node in processes of their own. Subscribers are services that follow a domain;
    a registration over REST, renewed, is what they are told of."""

    name = "Rollcall"
    type = "application/json"
    publish_path = f"/rest/v1/registrar/domains/{DOMAIN}/contacts"
    body = '{"kind":"user","account":"u1","contact_id":"c1","ttl":3600,"app":"@"}'
    say = '["subscribe",{"id":1,"events":["registrarevents.*"]}]'
    again = '["subscribe",{"id":1,"events":["registrarevents.*"],"exargs":{"after":@}}]'
    list = '["subscribe",{"id":1,"events":["registrarevents.*"],"exargs":{"snapshot":true}}]'

    def __init__(self, rollcall):
        self.cluster = Cluster(rollcall, os.path.join(HERE, "cluster.yaml")).start()
        with open(self.cluster.topology) as file:
            text = file.read()
        self.port = self.number(text, "listen: (\\d+)")
        self.sip_port = self.number(text, "udp: (\\d+)")
        self.publish_port = self.number(text, "role: sr,.*admin: (\\d+)")
        self.path = "/ws/token/v1/" + self.cluster.command("token", "--domain", DOMAIN).strip()
        self.nodes = self.cluster.node_pids()

    @staticmethod
    def number(text, pattern):
        return int(re.search(pattern, text)[1])

    def pids(self):
        return self.cluster.process.pids()

    def frontier_pids(self):
        """The websocket node, which does what nchan does; the others register what is told."""
        return [self.nodes["ws1"]]

    def stop(self):
        self.cluster.stop()
        self.cluster.remove()
