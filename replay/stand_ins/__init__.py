"""Local stand-ins for Slack and a mail server: real protocols on loopback, for the demo and the tests.

Never imported by the monitor; they send nothing anywhere.
"""

from replay.stand_ins.certificate import self_signed
from replay.stand_ins.slack import Answer, Post, SlackStandIn
from replay.stand_ins.smtp import Mail, SmtpStandIn

__all__ = ["Answer", "Mail", "Post", "SlackStandIn", "SmtpStandIn", "self_signed"]
