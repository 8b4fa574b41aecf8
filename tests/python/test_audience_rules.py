"""Rules of audiences that can't be followed are refused before anything runs, with row, column and reason."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.errors import StrataError
from orchestration.refresh import refresh
from orchestration.rules import FIELDS_FILE, read_rules, read_seeds
from orchestration.settings import Settings

HEADER = "audience_id,audience,step,is_excluded,kind,field,operator,value,value_to,at_least,ago_from,ago_to,ago_unit"
#: Rows 2 to 8.
GOOD = """\
fans,Fans,1,,bought,category,is,Anime sneakers,,,,,
fans,Fans,2,,number,age,between,20,30,,,,
fans,Fans,3,,searched,query,contains,character shoes,,,4,6,months
fans,Fans,4,TRUE,visited,,,,,3,,30,days
fans,Fans,4,true,bought,coupon,,,,,,0,days
rest,The rest,1,,attribute,age_band,is,Unknown,,,,,
rest,The rest,2,true,audience,,is,fans,,,,,
"""


def refused(folder: Path, audience_rules: str) -> list[str]:
    """What is said of these rules, fault by fault; nothing when they can be followed."""
    (folder / "audience_rules.csv").write_text(f"{HEADER}\n{audience_rules}", encoding="utf-8")
    try:
        read_rules(folder)
    except StrataError as error:
        return str(error).splitlines()
    return []


def test_the_kinds_that_a_rule_may_name_are_those_of_the_catalogue() -> None:
    with FIELDS_FILE.open(encoding="utf-8", newline="") as file:
        kinds = {row["kind"] for row in csv.DictReader(file)}
    assert set(read_seeds()["audience_rules"].accepted["kind"]) == {"attribute", "audience", *kinds}


def test_good_rules_pass(tmp_path: Path) -> None:
    assert refused(tmp_path, GOOD) == []


BAD_ROWS = {
    # attributes
    "x,X,1,,attribute,agee_band,is,18-24,,,,,": "column field: there is no attribute 'agee_band': did you mean age_b",
    "x,X,1,,attribute,,is,18-24,,,,,": "column field: there is no attribute ''",
    "x,X,1,,attribute,age_band,is,18-25,,,,,": "column value: there is no band of age_band '18-25': did you mean 18-2",
    "x,X,1,,attribute,ltv_tier,is,highest,,,,,": "column value: there is no band of ltv_tier 'highest'",
    "x,X,1,,attribute,country,contains,US,,,,,": "column operator: 'contains' is not for attribute: take is",
    "x,X,1,,attribute,country,,US,,,,,": "column operator: it is blank: take is",
    "x,X,1,,attribute,country,is,,,,,,": "column value: it is blank",
    "x,X,1,,attribute,country,is,US,CA,,,,": "column value_to: only numbers with the operator between",
    "x,X,1,,attribute,country,is,US,,2,,,": "column at_least: only what customers do has times",
    # numbers
    "x,X,1,,number,ages,is,20,,,,,": "column field: there is no number 'ages': did you mean age?",
    "x,X,1,,number,age,at least,abc,,,,,": "column value: 'abc' is not a number",
    "x,X,1,,number,age,at least,nan,,,,,": "column value: 'nan' is not a number",
    "x,X,1,,number,age,between,20,inf,,,,": "column value_to: 'inf' is not a number",
    "x,X,1,,number,age,between,20,,,,,": "column value_to: it is blank",
    "x,X,1,,number,age,between,30,20,,,,": "column value_to: between 30 and 20 lies nothing",
    "x,X,1,,number,age,contains,2,,,,,": "column operator: 'contains' is not for number: take is, at least",
    "x,X,1,,number,age,at most,30,40,,,,": "column value_to: only numbers with the operator between",
    "x,X,1,,number,age,at most,30,,,4,6,months": "column ago_from: only what customers do has times",
    # what customers do
    "x,X,1,,bougt,category,is,Shoes,,,,,": "column kind: 'bougt' is none of attribute, number",
    "x,X,1,,bought,categry,is,Shoes,,,,,": "column field: there is no field of bought 'categry': did you mean",
    "x,X,1,,visited,page,is,/,,,,,": "column field: there is no field of visited 'page'",
    "x,X,1,,bought,category,between,Shoes,,,,,": "column operator: 'between' is not for bought: take is, contains",
    "x,X,1,,bought,category,is,,,,,,": "column value: it is blank",
    "x,X,1,,bought,category,,Shoes,,,,,": "column operator: it is blank",
    "x,X,1,,bought,,is,Shoes,,,,,": "column field: it is blank: which field of bought is 'Shoes' about?",
    "x,X,1,,bought,,,,4,,,,": "column value_to: only numbers with the operator between",
    "x,X,1,,bought,,,,,0,,,": "column at_least: 0 is not 1 or more",
    "x,X,1,,bought,,,,,two,,,": "column at_least: 'two' is not a whole number",
    "x,X,1,,bought,,,,,,6,4,months": "column ago_to: from 6 to 4 months ago lies no day",
    "x,X,1,,bought,,,,,,,6,weeks": "column ago_unit: 'weeks' is none of days, months",
    "x,X,1,,bought,,,,,,4,6,": "column ago_unit: a window needs ago_from or ago_to, and ago_unit",
    "x,X,1,,bought,,,,,,,,days": "column ago_unit: a window needs ago_from or ago_to, and ago_unit",
    "x,X,1,,bought,,,,,,-1,6,days": "column ago_from: -1 is not 0 or more",
    "x,X,1,,bought,,,,,,,1201,months": "column ago_to: 1201 months are more than 1200",
    "x,X,1,,bought,,,,,,,1.5,months": "column ago_to: '1.5' is not a whole number",
    # references
    "x,X,1,,audience,,is,fan,,,,,": "column value: there is no audience 'fan': did you mean fans?",
    "x,X,1,,audience,members,is,fans,,,,,": "column field: an audience has none: leave 'members' out",
    "x,X,1,,audience,,is,x,,,,,": "column value: audiences refer to each other in a circle: x -> x",
    "x,X,1,,audience,,is,y,,,,,\ny,Y,1,,audience,,is,z,,,,,\nz,Z,1,true,audience,,is,x,,,,,": "z -> x",
    # steps
    "x,X,,,visited,,,,,,,,": "column step: it is blank",
    "x,X,0,,visited,,,,,,,,": "column step: 0 is not 1 or more",
    "x,X,1,yes,visited,,,,,,,,": "column is_excluded: 'yes' is not true or false",
    "x,X,1,,visited,,,,,,,,\nx,X,1,true,searched,,,,,,,,": "row 10, column is_excluded: not as in row 9",
    "x,X,1,,visited,,,,,,,,\nx,X,01,,visited,,,,,1,,,": "row 10, column step: the same as in row 9",
    "x,X,1,,visited,,,,,,,,\nx,X,2,true,visited,,,,,,,,": "row 10, column step: it asks the same as step 1 in row 9",
    "x,X,1,,visited,,,,,,,,\nx,Y,2,,searched,,,,,,,,": "row 10, column audience: 'Y', but 'X' in row 9",
    "x,,1,,visited,,,,,,,,": "column audience: it is blank",
    "Big Fans,X,1,,visited,,,,,,,,": "column audience_id: 'Big Fans' is not lower-case letters",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_refused_with_its_place_and_reason(tmp_path: Path, row: str) -> None:
    # One mistake is said once.
    [fault] = refused(tmp_path, GOOD + row + "\n")
    assert BAD_ROWS[row] in fault
    assert f"{tmp_path / 'audience_rules.csv'}, row " in fault
    assert "\n" in row or ", row 9, " in fault


def test_references_go_three_deep_and_no_deeper(tmp_path: Path) -> None:
    chain = "".join(f"a{number},A{number},1,,audience,,is,a{number - 1},,,,,\n" for number in range(1, 4))
    base = "a0,A0,1,,visited,,,,,,,,\n"
    assert refused(tmp_path, base + chain) == []
    [fault] = refused(tmp_path, chain + base + "a4,A4,1,,audience,,is,a3,,,,,\n")
    assert "row 6, column value: audiences refer to each other at most 3 deep" in fault


def test_fifty_steps_are_the_most(tmp_path: Path) -> None:
    steps = [f"x,X,{number},,number,orders,at least,{number},,,,,\n" for number in range(1, 52)]
    assert refused(tmp_path, "".join(steps[:50])) == []
    [fault] = refused(tmp_path, "".join(steps))
    assert "row 52, column step: an audience has at most 50 steps" in fault


def test_columns_that_no_row_needs_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "audience_rules.csv").write_text(
        "audience_id,audience,step,kind,ago_to,ago_unit\nx,X,1,visited,9,days\n"
    )
    assert read_rules(tmp_path).own


def test_a_refresh_with_a_bad_rule_runs_nothing(tmp_path: Path) -> None:
    settings = Settings.of("refused", str(tmp_path / "raw"), tmp_path / "home")
    folder = tmp_path / "rules"
    folder.mkdir()
    refused(folder, GOOD + "x,X,1,,number,age,at least,abc,,,,,\n")
    with pytest.raises(StrataError, match="row 9, column value: 'abc' is not a number"):
        refresh(settings, rules=str(folder), own_raw=True, now=datetime(2025, 6, 3, tzinfo=UTC))
    assert not settings.warehouse.exists()
    assert not settings.manifest.exists()
