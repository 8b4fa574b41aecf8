"""Rules of a user's own: a mistake is said with its file, row and column, and good ones stand in for the package's."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from orchestration import dbt
from orchestration.errors import StrataError
from orchestration.rules import find_folder, read_rules, read_seeds, write_own_rules
from orchestration.settings import PROJECT_DIR, Settings

LAYERS_HEADER = "macro_segment,layer,attribute,min_customers\n"
LAYERS = LAYERS_HEADER + "*,0,macro_segment,50\n"
BANDS = "attribute,band,from_share,below_share\n"
ATTRIBUTES = "attribute,category,description,source,is_sensitive\n"
MACROS = "priority,macro_segment,age_band\n10,Young,18-24\n11,Young,25-34\n99,Others,\n"


def folder_of(tmp_path: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        (tmp_path / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def test_the_packages_own_rules_are_right() -> None:
    rules = read_rules(None)
    assert rules.own == {} and rules.own_files == ()
    assert set(rules.tables) == {path.stem for path in (PROJECT_DIR / "seeds/rules").glob("*.csv")}
    assert set(rules.tables) == set(read_seeds())


@pytest.mark.parametrize("folder", sorted(path.name for path in (PROJECT_DIR / "rules").iterdir()))
def test_the_example_rules_are_right(folder: str) -> None:
    assert read_rules(PROJECT_DIR / "rules" / folder).own


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"micro_segment_layers": LAYERS + "*,one,ltv_tier,50\n"}, "row 3, column layer: 'one' is not a whole number"),
        ({"micro_segment_layers": LAYERS + "*,1,ltv_teir,50\n"}, "row 3, column attribute: there is no attribute 'l"),
        ({"micro_segment_layers": LAYERS + "\n*,1,,50\n"}, "row 4, column attribute: it is blank"),
        ({"micro_segment_layers": LAYERS + "Martians,1,city,50\n"}, "row 3, column macro_segment: no rule in seeds"),
        ({"micro_segment_layers": LAYERS + "*,1,city,0\n"}, "row 3, column min_customers: 0 is not 1 or more"),
        ({"micro_segment_layers": LAYERS + "*,1,city,9\n*,1,gender,9\n"}, "row 4, column macro_segment, layer: the"),
        ({"micro_segment_layers": LAYERS_HEADER + "*,1,city,9\n"}, "there is no row `*,0,"),
        ({"micro_segment_layers": LAYERS.replace("layer,", "layr,")}, "row 1: there is no column 'layr'. The col"),
        ({"micro_segment_layers": "macro_segment,layer,attribute\n"}, "row 1: the column min_customers is missing"),
        ({"micro_segment_layers": LAYERS.replace(",", ";")}, "row 1: there is no column 'macro_segment;layer;"),
        ({"micro_segment_layers": LAYERS + "*,1,city,50,9\n"}, "row 3: 5 cells, but the header has 4"),
        ({"micro_segment_layers": LAYERS.encode() + b"*,1,\xff,50\n"}, "can't be read"),
        ({"macro_segment_rules": MACROS.replace("99,", "5,")}, "row 4, column priority: a rule without a"),
        ({"macro_segment_rules": MACROS.replace("99,Others,", "99,Others,65+")}, "row 4, column age_band: the last ru"),
        ({"quantile_bands": BANDS + 'ltv_tier,all,0,"1,1"\n'}, "row 2, column below_share: '1,1' is not a number"),
        ({"attributes": ATTRIBUTES + "a,a,a,a,true\n"}, "row 2, column category: 'a' is none of geographic"),
        ({"attributes": ATTRIBUTES + "a,value,a,a,no\n"}, "row 2, column is_sensitive: 'no' is not true or false"),
        ({"layers": LAYERS}, "layers.csv stands in for no rules of the package"),
        ({}, "holds no rules"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(tmp_path: Path, files: dict[str, str | bytes], said: str) -> None:
    folder = folder_of(tmp_path, **files)
    with pytest.raises(StrataError) as error:
        read_rules(folder)
    assert said in str(error.value)
    assert str(folder) in str(error.value)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert find_folder(None, "") is None
    assert find_folder(None, "rules/complete_journey") == PROJECT_DIR / "rules/complete_journey"
    assert find_folder(str(tmp_path), "rules/complete_journey") == tmp_path
    with pytest.raises(StrataError, match="There is no folder"):
        find_folder(str(tmp_path / "nothing"), "")


def test_own_rules_stand_in_for_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A spreadsheet's byte order mark, blank columns that are left out, quotes and commas in a name.
    content = '\ufeffpriority,macro_segment,age_band\n10,"Under 35, ""young""",18-24\n99,Others,\n'
    rules = read_rules(folder_of(tmp_path, macro_segment_rules=content))
    told = write_own_rules(Settings.of("shop", home=tmp_path), rules)
    assert list(told) == ["macro_segment_rules"]
    monkeypatch.setenv("STRATA_WAREHOUSE", str(tmp_path / "rules.duckdb"))
    monkeypatch.setenv("DBT_PROJECT_DIR", str(PROJECT_DIR))
    where = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    where += ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path), "--quiet"]
    select = ["--select", "macro_segment_rules", "rfm_groups"]
    kinds = ["--resource-type", "seed"]
    done = dbtRunner().invoke(["build", *where, *select, *kinds, "--vars", json.dumps({"own_rules": told})])
    DuckDBConnectionManager.close_all_connections()
    assert done.success, done.exception
    with duckdb.connect(str(tmp_path / "rules.duckdb")) as db:
        found = db.execute("select priority, macro_segment, region, age_band from seeds.macro_segment_rules order by 1")
        assert found.fetchall() == [(10, 'Under 35, "young"', None, "18-24"), (99, "Others", None, None)]
        lines = (PROJECT_DIR / "seeds/rules/rfm_groups.csv").read_text().splitlines()
        assert db.execute("select count(*) from seeds.rfm_groups").fetchone() == (len(lines) - 1,)


def test_own_rules_are_part_of_the_rules_version(tmp_path: Path) -> None:
    def version(folder: Path | None) -> str:
        return dbt.version_of((), {}, extra=read_rules(folder).own_files)

    own = folder_of(tmp_path, macro_segment_rules=MACROS)
    first = version(own)
    assert first != version(None)
    folder_of(tmp_path, macro_segment_rules=MACROS.replace("Young", "Younger"))
    assert version(own) != first
