"""``vedette demo``: all of Vedette on recorded traffic, with a real broker, worker, Slack and SMTP on loopback."""
