"""A PJSIP phone that registers, refreshes and unregisters once, each as soon as the one before was answered.

usage: pjsip_phone.py PORT DOMAIN ACCOUNT PASSWORD [udp|tcp]      (pjsua2-python of PyPI)
Exit code 1 when an answer was not 200 or did not come.
"""

import sys
import time

import pjsua2

ANSWER_SECONDS = 10


class Phone(pjsua2.Account):
    def __init__(self):
        super().__init__()
        self.answers = []

    def onRegState(self, prm):
        self.answers.append((prm.code, self.getInfo().regIsActive))


def main():
    port, domain, account, password = sys.argv[1:5]
    transport = sys.argv[5] if len(sys.argv) > 5 else "udp"
    endpoint = pjsua2.Endpoint()
    endpoint.libCreate()
    config = pjsua2.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 4
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    listening = pjsua2.TransportConfig()
    listening.boundAddress = "127.0.0.1"
    kind = pjsua2.PJSIP_TRANSPORT_TCP if transport == "tcp" else pjsua2.PJSIP_TRANSPORT_UDP
    endpoint.transportCreate(kind, listening)
    endpoint.libStart()

    settings = pjsua2.AccountConfig()
    settings.idUri = f"sip:{account}@{domain}"
    settings.regConfig.registrarUri = f"sip:{domain};transport={transport}"
    settings.regConfig.timeoutSec = 300
    settings.regConfig.registerOnAdd = False
    settings.sipConfig.proxies.append(f"sip:127.0.0.1:{port};transport={transport};lr")
    settings.sipConfig.authCreds.append(pjsua2.AuthCredInfo("digest", "*", account, 0, password))
    phone = Phone()
    phone.create(settings)
    try:
        for count, (what, active) in enumerate((("register", True), ("refresh", True), ("unregister", False)), 1):
            phone.setRegistration(active)
            deadline = time.monotonic() + ANSWER_SECONDS
            while len(phone.answers) < count and time.monotonic() < deadline:
                endpoint.libHandleEvents(20)
            if len(phone.answers) < count or phone.answers[-1] != (200, active):
                print(f"{what}: expected (200, {active}), got {phone.answers[count - 1:]}")
                return 1
            print(f"{what}: 200")
        return 0
    finally:
        phone.shutdown()
        endpoint.libDestroy()


sys.exit(main())
