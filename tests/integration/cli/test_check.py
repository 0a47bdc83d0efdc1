from __future__ import annotations

import pytest

from monitor.charts.raster import fonts

RULES = "groups:\n  - name: g\n    rules:\n      - {alert: a, when: 'ret(IWM, 1d) > 1%', notify: [desk]}\n"
WRONG_RULES = "groups:\n  - name: g\n    rules:\n      - {alert: b, when: 'ret(IWM, 1d) > 400'}\n"
CONFIG = "rules: [rules]\nfeeds: {sim: {type: simulator}}\nreceivers: {desk: {urls: [console://]}}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES)
    (tmp_path / "rotation.yaml").write_text(CONFIG)
    return tmp_path


def test_what_is_right(rotation, folder):
    said = rotation("check")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "rotation.yaml: ok, 1 feed, 1 receiver",
        "rules: ok, 1 alert and 0 records in 1 file",
    ]


def test_all_files_at_once(rotation, folder):
    (folder / "b.yaml").write_text(WRONG_RULES)
    (folder / "conf.yaml").write_text("latenes: 3s\nfeeds: {}\n")
    said = rotation("check", "rotation.yaml", "b.yaml", "conf.yaml")
    firsts = [line for line in said.err.splitlines() if ": error: " in line]
    assert said.code == 1
    assert [line.split(": error")[0] for line in firsts] == ["conf.yaml:1:1", "b.yaml:4:42"]
    assert "write 400bp or 4%" in said.err


def test_a_configuration_is_told_from_rules_in_a_folder(rotation, folder):
    said = rotation("check", folder)
    assert said.code == 0
    assert "1 feed" in said.out


def test_a_rule_that_notifies_nobody_who_exists(rotation, folder):
    (folder / "rotation.yaml").write_text(CONFIG.replace("desk:", "other:"))
    said = rotation("check")
    assert said.code == 1
    assert "`a` notifies `desk`, and rotation.yaml has no such receiver" in said.err


def test_a_receiver_that_no_service_understands(rotation, folder):
    (folder / "rotation.yaml").write_text(CONFIG.replace("console://", "'telepathy://5ecret'"))
    said = rotation("check")
    assert said.code == 1
    assert "receiver `desk`" in said.err
    assert "5ecret" not in said.err


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("console://", True),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk", True),
        ("slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk", False),
        ("mailto://127.0.0.1?from=monitor@example.com&to=desk@example.com", False),
    ],
)
def test_a_receiver_that_cannot_have_its_pictures_is_named(rotation, folder, url, warned):
    (folder / "rotation.yaml").write_text(CONFIG.replace("{urls: [console://]}", f"{{urls: ['{url}'], picture: true}}"))
    said = rotation("check")
    assert said.code == 0
    assert ("warning: receiver `desk`: none of its addresses takes a picture" in said.err) is warned
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in said.err


def test_a_missing_font_is_said_where_pictures_are_wanted(rotation, folder, monkeypatch):
    monkeypatch.setattr("ttf_opensans.TTF_BIN_FOLDER", "/nowhere")
    fonts.cache_clear()
    try:
        assert "pictures cannot be drawn" not in rotation("check").err
        (folder / "rotation.yaml").write_text(CONFIG.replace("console://]", "console://], picture: true"))
        said = rotation("check")
    finally:
        fonts.cache_clear()
    assert said.code == 0
    assert "warning: pictures cannot be drawn, messages go without: no font at /nowhere" in said.err


def test_json_is_one_fault_a_line(rotation, folder):
    (folder / "rotation.yaml").write_text("latenes: 3s\n")
    said = rotation("check", "--format", "json")
    assert said.code == 1
    assert [(r["file"], r["line"], r["column"], r["severity"]) for r in said.records] == [
        ("rotation.yaml", 1, 1, "error")
    ]
    assert {"message", "hint", "end_column", "source_line"} <= set(said.records[0])


def test_json_says_where_the_fault_ends(rotation, folder):
    (folder / "b.yaml").write_text(WRONG_RULES)
    (record,) = rotation("check", "b.yaml", "--format", "json").records
    assert record["source_line"][record["column"] - 1 : record["end_column"] - 1] == "400"


CLOSES = "ts,symbol,close\n" + "".join(f"2026-01-{day:02},IWM,{day}\n" for day in (5, 6, 7, 8, 9))


def test_a_window_longer_than_the_history_is_a_warning_with_its_date(rotation, folder):
    (folder / "closes.csv").write_text(CLOSES)
    (folder / "rules" / "a.yaml").write_text(RULES.replace("1d", "14d"))
    said = rotation("check", "rules", "--data", "closes.csv")
    assert said.code == 0
    assert "a.yaml:4:1: warning: `a` needs 14 sessions of IWM, and before 2026-01-12 5 are stored" in said.err
    assert "warm from 2026-01-26 on" in said.err  # nine sessions after Monday the 12th; the 19th is a holiday
    (folder / "rotation.yaml").write_text(CONFIG + "history: [{type: file, data: closes.csv}]\n")
    assert "`a` needs 14 sessions of IWM" in rotation("check").err


def test_a_history_that_is_long_enough_is_no_warning(rotation, folder):
    (folder / "closes.csv").write_text(CLOSES)
    said = rotation("check", "rules", "--data", "closes.csv")
    assert (said.code, said.err) == (0, "")


def test_a_history_that_cannot_be_read(rotation, folder):
    (folder / "closes.csv").write_text("ts,symbol,close\n2026-01-05,IWM,many\n")
    said = rotation("check", "rules", "--data", "closes.csv")
    assert said.code == 2
    assert said.err.startswith("error: closes.csv")


@pytest.mark.parametrize("words", [(), ("nothing.yaml",), ("empty",)])
def test_wrong_use(rotation, tmp_path, words):
    (tmp_path / "empty").mkdir()
    said = rotation("check", *words)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("error: ")


@pytest.mark.parametrize("what", ["rules", "config"])
def test_schemas_fit_what_they_describe(rotation, folder, what):
    import json

    import jsonschema
    import yaml

    schema = json.loads(rotation("schema", what).out)
    document = yaml.safe_load(CONFIG if what == "config" else RULES)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"nonsense": 1}, schema)
