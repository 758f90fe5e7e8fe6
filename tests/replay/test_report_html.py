import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.finding import Attack, Finding, Severity, Subject
from monitor.event import Event
from replay.evaluate import evaluate
from replay.evaluation import Evaluation
from replay.labels import BENIGN, Labels
from replay.plots import Mark, density_strip, lollipop, nice_ticks, share_bar
from replay.report_html import render_html

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\u2066\x00"
VOID = {"meta", "br", "img", "link", "input"}
ALLOWED = re.compile(
    "html|head|meta|title|style|body|main|h1|h2|p|div|span|small|b|i|ul|li|table|thead|tbody|tr|th|td|svg|g|path|rect"
)


class Page(HTMLParser):
    """Checks that tags are balanced and harmless, and gathers the text a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert ALLOWED.fullmatch(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("src", "href", "xlink:href", "action")
            assert name in ("aria-label", "content") or not re.search(r"url\(|javascript:", value or "")
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def finding(ts: float, subject: Subject, attack: Attack = Attack.EVASION, score: float = 2e3, **names: str) -> Finding:
    return Finding(
        id=f"f-{ts}-{attack.value}-{subject.key}",
        ts=ts,
        detector=names.get("detector", "probe"),
        detector_version="1",
        attack=attack,
        technique="AML.T0015",
        model=names.get("model", "digits"),
        version="3",
        subject=subject,
        severity=Severity.HIGH,
        score=score,
        threshold=1e3,
        evidence={},
        first_seen=ts,
        last_seen=ts,
        count=1,
    )


def events(*clients: str, model: str = "digits") -> list[Event]:
    x = np.zeros((1, 4), dtype=np.float32)
    return [
        Event(id=f"{client}-{i}", ts=1000.0 + 10 * i, model=model, x=x, shape=(4,), client_id=client)
        for client in clients
        for i in range(30)
    ]


def full(name: str = "fox", honest: str = "ann", model: str = "digits") -> Evaluation:
    labels = Labels(clients={name: "evasion:pgd", honest: BENIGN, "bob": BENIGN}, shift_onset={model: 1100.0})
    alerts = [
        finding(1050.0, Subject("client", name), detector=name),
        finding(1070.0, Subject("client", honest), score=1.5e3),
        finding(1160.0, Subject("model", model), Attack.SHIFT, model=model),
        finding(1170.0, Subject("client", f"stranger {name}")),
    ]
    return evaluate(alerts, labels, events(name, honest, "bob", model=model))


def test_the_page_tells_what_was_found() -> None:
    page = Page(render_html(full(), "Trial"))
    assert "Trial" in page.text
    for said in ("1 of 1", "1 of 2", "6 of 30", "+60 s", "evasion: pgd", "fox", "ann", "50 s", "stranger fox"):
        assert said in page.text


@pytest.mark.parametrize("name", [HOSTILE, "\ud800", "x" * 10_000, "&amp;lt;", "a\nb", "]]>", "-->"])
def test_hostile_names_stay_text(name: str) -> None:
    html = render_html(full(name=name, honest=name + "2", model=name), name)
    page = Page(html)
    html.encode("utf-8")
    assert not set("\u202e\u2066\x00") & set(html)
    assert len(html) < 100_000
    assert "script" not in page.tags


def test_hidden_characters_are_shown() -> None:
    assert "\\u202e" in Page(render_html(full(name="a\u202eb"))).text


@settings(max_examples=25)
@given(st.text(max_size=40), st.text(max_size=40), st.floats(), st.floats(allow_nan=False))
def test_any_names_and_figures_give_a_sound_page(name: str, model: str, score: float, ts: float) -> None:
    labels = Labels(clients={name: "evasion:pgd", "ann": BENIGN}, shift_onset={model: ts})
    alerts = [
        finding(ts, Subject("client", name), score=score),
        finding(ts, Subject("model", model), Attack.SHIFT, score),
    ]
    Page(render_html(evaluate(alerts, labels, events("ann"))))


def test_nothing_is_loaded_and_nothing_runs() -> None:
    html = render_html(full())
    assert "default-src 'none'" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "@import" not in html
    assert "prefers-color-scheme:dark" in html


@pytest.mark.parametrize("recorded", [True, False])
def test_an_empty_evaluation_is_a_page_too(recorded: bool) -> None:
    page = Page(render_html(evaluate([], Labels(clients={}), [] if recorded else None)))
    assert "0 findings" in page.text


def test_without_the_recording_the_page_says_what_is_missing() -> None:
    page = Page(render_html(evaluate([finding(1.0, Subject("client", "fox"))], Labels(clients={"fox": "evasion:pgd"}))))
    assert "Without the recording" in page.text
    assert "Timeline" not in page.text


def test_a_thousand_honest_clients_do_not_swell_the_page() -> None:
    names = [f"c{i}" for i in range(1000)]
    evaluation = evaluate([], Labels(clients=dict.fromkeys(names, BENIGN)), events(*names))
    html = render_html(evaluation)
    assert "and 940 more" in Page(html).text
    assert len(html) < 1_000_000


def test_a_thousand_false_alarms_do_not_swell_the_page() -> None:
    names = [f"c{i}" for i in range(1000)]
    alerts = [finding(1000.0 + i, Subject("client", name)) for i, name in enumerate(names)]
    html = render_html(evaluate(alerts, Labels(clients=dict.fromkeys(names, BENIGN)), events(*names)))
    assert len(html) < 1_500_000


def test_a_bar_is_as_long_as_its_share() -> None:
    widths = [float(width) for width in re.findall(r'width="([\d.]+)"', share_bar(0.25, 0.5, "x"))]
    assert widths == [500.0, 250.0]


def test_bars_of_a_strip_stand_where_the_requests_were() -> None:
    path = re.search(r'd="([^"]+)"', density_strip([0, 4, 0, 1], 4, "honest", [], "x"))
    assert path is not None
    starts = [float(x) for x in re.findall(r"M([\d.]+)", path[1])]
    tops = [float(y) for y in re.findall(r"V([\d.]+)H", path[1])]
    assert starts == [250.0, 750.0]
    assert tops == [0.0, 12.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 2.0])
def test_drawings_stay_in_their_frame(value: float) -> None:
    drawn = lollipop(value, "honest", "x") + density_strip([1], 1, "honest", [Mark(value, "found", "x")], "x")
    xs = [float(x) for x in re.findall(r"[MH]([-\d.]+)", drawn)]
    assert all(0.0 <= x <= 1000.0 for x in xs)


@given(st.floats(1e-6, 1e9), st.integers(3, 10))
def test_ticks_are_few_even_and_within_the_span(span: float, most: int) -> None:
    ticks = nice_ticks(span, most)
    assert ticks[0] == 0.0
    assert ticks[-1] <= span * (1 + 1e-6)
    assert 2 <= len(ticks) <= most + 1


@pytest.mark.parametrize("span", [0.0, -1.0, float("nan"), float("inf")])
def test_no_span_has_one_tick(span: float) -> None:
    assert nice_ticks(span) == [0.0]
