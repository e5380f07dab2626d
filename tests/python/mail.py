"""A mail server that wants TLS and a password: with STARTTLS on one port, with TLS from the beginning on another.

usage: mail.py CERTIFICATE KEY PASSWORD HOLD

Prints both ports in one line, then each mail that it takes as a line of JSON, until its input ends. While a file HOLD is there, it does
not say that it took a mail.
"""

import asyncio
import email
import email.policy
import json
import os
import socket
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

certificate, key, password, hold = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
printing = threading.Lock()


class Handler:
    def __init__(self, name):
        self.name = name

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        taken = {
            "server": self.name,
            "tls": session.ssl is not None or self.name == "implicit",
            "user": session.auth_data.login.decode(),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "id": message["Message-ID"],
            "subject": message["Subject"],
            "text": message.get_content(),
        }
        # both servers have threads of their own
        with printing:
            print(json.dumps(taken), flush=True)
        while os.path.exists(hold):
            await asyncio.sleep(0.02)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    is_right = isinstance(data, LoginPassword) and data.password.decode() == password
    return AuthResult(success=is_right, auth_data=data)


common = {"hostname": "127.0.0.1", "authenticator": authenticate, "auth_required": True}
starttls = Controller(Handler("starttls"), port=0, tls_context=context, require_starttls=True, **common)
# aiosmtpd does not know that a connection which begins with TLS is encrypted
implicit = Controller(Handler("implicit"), port=0, ssl_context=context, auth_require_tls=False, **common)
ports = []
for controller in (starttls, implicit):
    # it connects to itself to see whether it listens, so it must know its port before
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    ports.append(controller.port)
print(*ports, flush=True)
sys.stdin.read()
