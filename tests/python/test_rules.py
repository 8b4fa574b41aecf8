"""Rules that can't be followed are refused before anything runs, with file, line and reason."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import yaml

from orchestration.errors import StrataError
from orchestration.rule_files import read_rows
from orchestration.rules import FIELDS_FILE, RULES_DIR, check_rules, faults_of
from rehearsal import Rehearsal

HEADER = "audience_id,audience,step,is_excluded,kind,field,operator,value,value_to,at_least,ago_from,ago_to,ago_unit"
GOOD = """\
fans,Fans,1,,bought,category,is,Anime sneakers,,,,,
fans,Fans,2,,number,age,between,20,30,,,,
fans,Fans,3,,searched,query,contains,character shoes,,,4,6,months
fans,Fans,4,TRUE,visited,,,,,3,,30,days
fans,Fans,4,true,bought,coupon,,,,,,0,days
rest,The rest,1,,attribute,age_band,is,Unknown,,,,,
rest,The rest,2,true,audience,,is,fans,,,,,
"""


def rules(folder: Path, audience_rules: str, **others: str) -> Path:
    """A folder with these rule files."""
    folder.mkdir(exist_ok=True)
    (folder / "audience_rules.csv").write_text(f"{HEADER}\n{audience_rules}", encoding="utf-8")
    for name, text in others.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_the_rules_that_come_with_the_project_can_be_followed() -> None:
    assert faults_of() == []


def test_the_kinds_that_a_rule_may_name_are_those_of_the_catalogue() -> None:
    [described] = yaml.safe_load((RULES_DIR / "audience_rules.yml").read_text())["seeds"]
    [kind] = [column for column in described["columns"] if column["name"] == "kind"]
    named = kind["data_tests"][0]["accepted_values"]["arguments"]["values"]
    fields, _ = read_rows(FIELDS_FILE, ["kind", "field", "description"])
    assert set(named) == {"attribute", "audience", *(row["kind"] for row in fields)}


def test_good_rules_pass(tmp_path: Path) -> None:
    assert faults_of(rules(tmp_path, GOOD)) == []


BAD_ROWS = {
    # attributes
    "x,X,1,,attribute,agee_band,is,18-24,,,,,": "there is no attribute 'agee_band': did you mean age_band?",
    "x,X,1,,attribute,,is,18-24,,,,,": "there is no attribute ''",
    "x,X,1,,attribute,age_band,is,18-25,,,,,": "there is no band of age_band '18-25': did you mean 18-24?",
    "x,X,1,,attribute,ltv_tier,is,highest,,,,,": "there is no band of ltv_tier 'highest'",
    "x,X,1,,attribute,country,contains,US,,,,,": "the operator 'contains' is not for attribute: take is",
    "x,X,1,,attribute,country,,US,,,,,": "the operator is missing: take is",
    "x,X,1,,attribute,country,is,,,,,,": "the value is missing",
    "x,X,1,,attribute,country,is,US,CA,,,,": "value_to is for numbers with the operator between",
    "x,X,1,,attribute,country,is,US,,2,,,": "at_least: only what customers do",
    # numbers
    "x,X,1,,number,ages,is,20,,,,,": "there is no number 'ages': did you mean age?",
    "x,X,1,,number,age,at least,abc,,,,,": "'abc' is no number",
    "x,X,1,,number,age,at least,nan,,,,,": "'nan' is no number",
    "x,X,1,,number,age,between,20,inf,,,,": "'inf' is no number",
    "x,X,1,,number,age,between,20,,,,,": "value_to is missing",
    "x,X,1,,number,age,between,30,20,,,,": "between 30 and 20 lies nothing",
    "x,X,1,,number,age,contains,2,,,,,": "the operator 'contains' is not for number: take is, at least",
    "x,X,1,,number,age,at most,30,40,,,,": "value_to is for numbers with the operator between",
    "x,X,1,,number,age,at most,30,,,4,6,months": "ago_from, ago_to, ago_unit: only what customers do",
    # behaviour
    "x,X,1,,bougt,category,is,Shoes,,,,,": "there is no kind 'bougt': did you mean bought?",
    "x,X,1,,bought,categry,is,Shoes,,,,,": "there is no field of bought 'categry': did you mean category?",
    "x,X,1,,visited,page,is,/,,,,,": "there is no field of visited 'page'",
    "x,X,1,,bought,category,between,Shoes,,,,,": "the operator 'between' is not for bought: take is, contains",
    "x,X,1,,bought,category,is,,,,,,": "the value is missing",
    "x,X,1,,bought,category,,Shoes,,,,,": "the operator is missing",
    "x,X,1,,bought,,is,Shoes,,,,,": "name the field of bought that 'Shoes' is about",
    "x,X,1,,bought,,,,,0,,,": "at_least must be 1 or more",
    "x,X,1,,bought,,,,,two,,,": "at_least is 'two', which is no integer",
    "x,X,1,,bought,,,,,,6,4,months": "from 6 to 4 months ago lies no day",
    "x,X,1,,bought,,,,,,,6,weeks": "there is no ago_unit 'weeks'",
    "x,X,1,,bought,,,,,,4,6,": "a window needs ago_from or ago_to, and ago_unit",
    "x,X,1,,bought,,,,,,,,days": "a window needs ago_from or ago_to, and ago_unit",
    "x,X,1,,bought,,,,,,-1,6,days": "a window lies between 0 and 36500 days ago",
    "x,X,1,,bought,,,,,,,1201,months": "a window lies between 0 and 1200 months ago",
    "x,X,1,,bought,,,,,,,1.5,months": "ago_to is '1.5', which is no integer",
    # references
    "x,X,1,,audience,,is,fan,,,,,": "there is no audience 'fan': did you mean fans?",
    "x,X,1,,audience,members,is,fans,,,,,": "an audience has no field: leave 'members' out",
    "x,X,1,,audience,,is,x,,,,,": "in a circle: x -> x",
    "x,X,1,,audience,,is,y,,,,,\ny,Y,1,,audience,,is,z,,,,,\nz,Z,1,true,audience,,is,x,,,,,": "-> z ->",
    "x,X,1,,audience,,is,fans ,,,,,": "value is 'fans ': take out the blanks around it",
    # steps
    "x,X,,,visited,,,,,,,,": "step is blank",
    "x,X,one,,visited,,,,,,,,": "step is 'one', which is no integer",
    "x,X,0,,visited,,,,,,,,": "steps are counted from 1",
    "x,X,1,yes,visited,,,,,,,,": "is_excluded is 'yes', which is no boolean",
    "x,X,1,,visited,,,,,,,,\nx,X,1,true,searched,,,,,,,,": "is_excluded differs from line 9",
    "x,X,1,,visited,,,,,,,,\nx,X,01,,visited,,,,,1,,,": "it repeats line 9",
    "x,X,1,,visited,,,,,,,,\nx,X,2,true,visited,,,,,,,,": "it asks the same as step 1 in line 9",
    "x,X,1,,visited,,,,,,,,\nx,Y,2,,searched,,,,,,,,": "the audience is 'Y', but 'X' in line 9",
    "x,,1,,visited,,,,,,,,": "audience is blank",
    "Big Fans,X,1,,visited,,,,,,,,": "an audience_id is lower-case letters",
    "x,X,1,,visited": "the row has 5 cells, the header 13",
    'x,"X,1,,visited,,,,,,,,': "it can't be read as CSV",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_refused_with_its_line_and_reason(tmp_path: Path, row: str) -> None:
    faults = faults_of(rules(tmp_path, GOOD + row + "\n"))
    named = [fault for fault in faults if BAD_ROWS[row] in fault.reason]
    assert named, faults
    assert named[0].file == tmp_path / "audience_rules.csv"
    assert named[0].line >= 9
    # One mistake is not told as several.
    assert len(faults) == 1, faults


def test_references_go_three_deep_and_no_deeper(tmp_path: Path) -> None:
    chain = "".join(f"a{number},A{number},1,,audience,,is,a{number - 1},,,,,\n" for number in range(1, 4))
    base = "a0,A0,1,,visited,,,,,,,,\n"
    assert faults_of(rules(tmp_path, base + chain)) == []
    [fault] = faults_of(rules(tmp_path, chain + base + "a4,A4,1,,audience,,is,a3,,,,,\n"))
    assert "at most 3 deep" in fault.reason
    assert fault.line == 6


def test_fifty_steps_are_the_most(tmp_path: Path) -> None:
    steps = [f"x,X,{number},,number,orders,at least,{number},,,,,\n" for number in range(1, 52)]
    assert faults_of(rules(tmp_path, "".join(steps[:50]))) == []
    [fault] = faults_of(rules(tmp_path, "".join(steps)))
    assert fault.line == 52
    assert "at most 50 steps" in fault.reason


def test_sensitive_attributes_need_permission(tmp_path: Path) -> None:
    attributes = (RULES_DIR / "attributes.csv").read_text()
    attributes = attributes.replace("identify: address.country,false", "identify: address.country,true")
    folder = rules(tmp_path, "x,X,1,,attribute,country,is,US,,,,,\n", attributes=attributes)
    [fault] = faults_of(folder)
    assert "country is sensitive" in fault.reason
    assert faults_of(folder, ["country"]) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "reason"),
    [
        ("micro_segment_layers", "*,1,lifecycle_stage", "*,1,lifecycle", 3, "there is no attribute 'lifecycle'"),
        (
            "micro_segment_layers",
            "*,1,lifecycle_stage,50",
            "*,1,lifecycle_stage,many",
            3,
            "'many', which is no integer",
        ),
        ("micro_segment_layers", "*,1,", "*,0,", 3, "it repeats macro_segment, layer of line 2"),
        ("macro_segment_rules", "999,", "ten,", 10, "priority is 'ten', which is no integer"),
        ("macro_segment_rules", "priority,macro", "prio,macro", 1, "there is no column 'prio': did you mean priority?"),
        ("quantile_bands", "ltv_tier,low,0,", "ltv_tier,low,none,", 17, "from_share is 'none', which is no double"),
        ("attributes", "country,geographic", "country,geografic", 2, "there is no category 'geografic'"),
    ],
)
def test_other_rule_files_are_checked_for_what_their_yml_says(
    tmp_path: Path, name: str, old: str, new: str, line: int, reason: str
) -> None:
    text = (RULES_DIR / f"{name}.csv").read_text()
    assert old in text
    [fault] = faults_of(rules(tmp_path, GOOD, **{name: text.replace(old, new, 1)}))
    assert (fault.file.name, fault.line) == (f"{name}.csv", line)
    assert reason in fault.reason


def test_a_refresh_with_a_bad_rule_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rules(tmp_path / "rules", GOOD + "x,X,1,,number,age,at least,abc,,,,,\n")
    monkeypatch.setattr(
        "orchestration.refresh.check_rules", lambda sensitive_allowed: check_rules(folder, sensitive_allowed)
    )
    books = Rehearsal(tmp_path, "refused")
    with pytest.raises(StrataError, match=r"audience_rules.csv, line 9: audience x, step 1: 'abc' is no number"):
        books.refresh(datetime(2025, 6, 3, 12))
    assert not books.settings.warehouse.exists()
    assert not books.settings.manifest.exists()
