"""What the trials of plugins share: a cluster that phones keep busy, and how long its answers take."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../subscribers"), os.path.join(HERE, "../../scripts")]
from phones import Phones  # noqa: E402,F401
from private_cluster import Cluster, free_ports  # noqa: E402,F401
from prober import Probe  # noqa: E402,F401
from resume import ask, owner, settled, wait  # noqa: E402,F401

DOMAIN = "demo.example"
SIP = 19060  # Of sg1, as the cluster files number it.


class PluginCluster(Cluster):
    """A cluster whose plugins listen on free ports as well."""

    def __init__(self, rollcall, topology, **ports):
        super().__init__(rollcall, topology)
        with open(self.topology) as file:
            text = file.read()
        for name, port in ports.items():
            text = text.replace(f"${name}", str(port))
        with open(self.topology, "w") as file:
            file.write(text)
