"""``eval --plot`` and ``backtest --report``: the files, and that their figures are those of the same run's JSON."""

from __future__ import annotations

import datetime as dt
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from monitor.calendar import TradingCalendar

VOID = {"meta", "br", "hr", "img", "link", "input"}
SVG = "{http://www.w3.org/2000/svg}"
RULES = """
universes:
  pair: [IWM, QQQ]
groups:
  - name: g
    rules:
      - alert: ahead
        when: excess(IWM, SPY, 1d) > 100bp
        until: excess(IWM, SPY, 1d) < 50bp
        severity: critical
      - alert: member-falls
        each: pair
        when: ret(it, 1d) < -1%
      - {alert: never, when: 'ret(IWM, 1d) > 5000%'}
"""


class Page(HTMLParser):
    """A page's tables by class, its ids and links; tags must be closed in the order they were opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.addresses = [], [], [], []
        self.tables = {}
        self._cell = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.addresses += [v for k, v in attrs if k in {"src", "href", "action", "srcset", "data", "poster"} and v]
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(found["class"], [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._cell = ""

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in {"td", "th"}:
            self._rows[-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data


@pytest.fixture
def daily(tmp_path):
    """120 sessions: SPY stands still; IWM gains 2 % in every seventh and loses it after; QQQ loses 2 % in one."""
    calendar = TradingCalendar("XNYS")
    first = calendar.ordinal_on_or_before(dt.date(2025, 7, 1))
    lines = ["ts,symbol,close"]
    for i in range(120):
        date = calendar.date(first + i)
        lines += [f"{date},IWM,{102 if i % 7 == 3 else 100}", f"{date},SPY,100", f"{date},QQQ,{98 if i == 60 else 100}"]
    path = tmp_path / "daily & co.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_a_condition_is_drawn_with_its_level_and_shaded_where_it_holds(rotation, daily, tmp_path):
    said = rotation("eval", "excess(IWM, SPY, 1d) > 100bp", "--data", daily, "--plot", "out.svg")
    assert (said.code, said.out, said.err) == (0, "", "")
    root = ET.fromstring((tmp_path / "out.svg").read_text())
    texts = ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]
    assert {"excess(IWM, SPY, 1d) > 100bp", "excess(IWM, SPY, 1d)", "holds above 100bp", "holds"} <= set(texts)
    band = next(p for p in root.iter(f"{SVG}path") if p.get("class") == "rc-fill-band")
    assert band.get("d").count("M") == 17


def test_a_number_is_drawn_as_it_is(rotation, daily, tmp_path):
    said = rotation("eval", "ret(IWM, 5d)", "--data", daily, "--plot", "out.svg", "--format", "json")
    assert said.code == 0
    assert len(said.records) == 120
    assert "rc-fill-band" not in (tmp_path / "out.svg").read_text().split("</style>")[1]


def test_a_condition_without_a_level_is_shaded_too(rotation, daily, tmp_path):
    assert rotation("eval", "held(ret(IWM, 1d) > 1%, 1, 2d)", "--data", daily, "--plot", "out.svg").code == 0
    drawn = ET.fromstring((tmp_path / "out.svg").read_text())
    band = next(p for p in drawn.iter(f"{SVG}path") if p.get("class") == "rc-fill-band")
    assert band.get("d").count("M") == 17


def test_a_png_is_one(rotation, daily, tmp_path):
    assert rotation("eval", "ret(IWM, 5d)", "--data", daily, "--plot", "out.png").code == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_nothing_to_draw_is_said(rotation, daily):
    said = rotation("eval", "ret(IWM, 5d)", "--data", daily, "--to", "2020-01-02", "--plot", "out.svg")
    assert "there is no data in that time" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eval", "ret(IWM, 1d)", "--plot", "out.jpg"), "--plot out.jpg: name a file that ends in .png or .svg"),
        (("eval", "ret(IWM, 1d)", "--plot", "no/out.png"), "there is no folder no"),
        (("eval", "ret(IWM, 1d)", "--at", "2025-07-02", "--plot", "o.png"), "there is nothing to draw"),
        (("eval", "quadrant(IWM, SPY, 5d)", "--plot", "o.png"), "a category has no height to draw"),
        (("backtest", "--rules", "rules.yaml", "--report", "rules.yaml"), "name a file that ends in .html"),
        (("backtest", "--rules", "rules.yaml", "--report", "no/r.html"), "there is no folder no"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_any_work(rotation, daily, rules, words, message):
    said = rotation(*words, "--data", daily)
    assert said.code == 2
    assert message in said.err
    assert rules.read_text() == RULES


@pytest.fixture
def run(rotation, daily, rules, tmp_path):
    """The page, the table and the JSON of one backtest."""
    said = rotation("backtest", "--rules", rules, "--data", daily, "--report", "report.html", "--format", "json")
    assert (said.code, said.err) == (0, "")
    text = (tmp_path / "report.html").read_text("utf-8")
    table = rotation("backtest", "--rules", rules, "--data", daily).out
    return text, Page(text), table, said.records


def test_the_page_needs_nothing_else(run):
    text, page, _, _ = run
    assert page.addresses == page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert "<script" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) == {"http://www.w3.org/2000/svg"}


def test_every_picture_of_the_page_is_well_formed(run):
    pictures = re.findall(r"<svg.*?</svg>", run[0], re.DOTALL)
    titles = [ET.fromstring(p).findtext(f"{SVG}title") for p in pictures]
    assert titles == ["ahead", "IWM", "QQQ", "never"]


def test_names_of_files_are_escaped(run):
    assert "daily &amp; co.csv" in run[0]
    assert "& co" not in run[0]


def test_the_figures_are_those_of_the_json(run):
    _, page, table, records = run
    rows = {row[0]: row for row in page.tables["summary"][1:]}
    fired = [r for r in records if (r["from"], r["to"]) == ("inactive", "firing")]
    for alert in ("ahead", "member-falls", "never"):
        assert int(rows[alert][1]) == len([r for r in fired if r["alert"] == alert])
    assert (rows["ahead"][1], rows["member-falls"][1], rows["never"][1]) == ("17", "18", "0")
    # The columns of the printed table are those of the page.
    for alert, row in rows.items():
        line = next(line for line in table.splitlines()[-3:] if line.startswith(alert))
        assert re.split(r"\s{2,}", line) == row
    episodes = page.tables["episodes"]
    starts = sorted(r["ts"][:10] for r in fired)
    assert sorted(row[0] for row in episodes if row[0][:2] == "20") == starts
    ahead = next(row for row in episodes if row[0] in {r["ts"][:10] for r in fired if r["alert"] == "ahead"})
    assert ahead[4:6] == ["200.0bp", "200.0bp"]


def test_the_lead_of_a_rule_that_fires_at_its_peak_is_nothing(run):
    rows = {row[0]: row for row in run[1].tables["summary"][1:]}
    assert rows["ahead"][7:] == ["0", "3"]
    assert rows["never"][7] == "\N{EN DASH}"


def test_the_command_can_be_typed_again(run, daily):
    (command,) = re.findall(r"<code>(rotation backtest .*?)</code>", run[0])
    assert "--report report.html --format json" in command
    assert daily.name.replace("&", "&amp;") in command


@pytest.mark.realdata
def test_january_2026(rotation, shared_data, tmp_path):
    """The fourteen sessions in which small caps led: the page's peak is the figure that independent code computed."""
    rules = tmp_path / "lead.yaml"
    rules.write_text(
        "groups: [{name: g, rules: [{alert: lead, when: 'excess(IWM, SPY, 14d) > 400bp', "
        "until: 'excess(IWM, SPY, 14d) < 250bp'}]}]"
    )
    data = shared_data / "daily_close.parquet"
    assert (
        rotation("backtest", "--rules", rules, "--data", data, "--from", "2026-01-02", "--report", "r.html").code == 0
    )
    (row,) = Page((tmp_path / "r.html").read_text("utf-8")).tables["episodes"][1:]
    facts = json.loads((shared_data / "facts.json").read_text())
    assert row[5] == f"{facts['2026-01_to_22nd']['small_minus_large_bps']:.1f}bp"
