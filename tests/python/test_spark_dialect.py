"""The Spark check must itself be right: it catches what Spark can't read, and lets the common subset pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_dialect import compiled_for_spark, faults, main


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("select a::int as b from t", "`::`"),
        ("select cast(a as varchar) as b from t", "no type varchar"),
        ("select try_cast(a as hugeint) as b from t", "no type hugeint"),
        ('select "a" from t', "don't quote names"),
        ("select distinct on (a) a, b from t", "distinct on"),
        ("select * exclude (a) from t", "exclude"),
        ("select a.x from a asof join b on a.t >= b.t", "asof join"),
        ("select 5 // 2 as x", "can't read it"),
        ("select {'a': 1} as x", "can't read it"),
        ("select transform(a, lambda x: x + 1) as b from t", "can't read it"),
        ("select [1, 2] as x", "makes no list"),
        ("select coalesce(a, [1]) as x from t", "makes no list"),
        ("select 1 as a union all by name select 2 as a", "union by name"),
        ("with recursive t as (select 1 as n union all select n + 1 from t) select n from t", "with recursive"),
        ("from t select a", "begins with `from`"),
        ("with u as (from t) select a from u", "begins with `from`"),
        ("select a, from t", "comma after the last item"),
        ("select a from t using sample 10", "using sample"),
        ("select a ->> '$.x' as x from t", "`->>`"),
        ("select a from t where b glob 'x*'", "`glob`"),
        ("pivot t on a using sum(b)", "one query"),
        ("select unnest(a) as x from t", "no function unnest"),
        ("select list_contains(a, 1) as x from t", "no function list_contains"),
        ("select starts_with(a, 'x') as x from t", "no function starts_with"),
        ("select any_value(a) as x from t", "use min or max"),
        ("select log(a) as x from t", "ln or log10"),
        ("select current_timestamp() as x from t", "when it was computed"),
    ],
)
def test_what_spark_can_not_read_is_found(sql: str, fault: str) -> None:
    assert any(fault in found for found in faults(sql)), faults(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select a, row_number() over (partition by b order by c nulls last, d) as place from t qualify place = 1",
        "select sum(a) filter (where b > 1) as x, count_if(c) as y, max_by(d, e) as z from t group by f",
        "select percentile_cont(0.5) within group (order by a) as x, median(a) as y from t",
        "select cast(a as decimal(18, 2)) as x, try_cast(b as date) as y, cast(c as string) as z from t",
        "select a.x from a left semi join b on a.x = b.x",
        "select a from t where b in (select b from u) and (c, d) in (select c, d from v) and exists (select 1 from w)",
        "select i, n from (values (1, 'x'), (2, 'y')) as v (i, n)",
        "select last_value(a ignore nulls) over (order by d rows between 3 preceding and current row) as x from t",
        "with a as (select 1 as x), b as (select x from a) select x, x + 1 as y from b where x between 1 and 2",
        "select extract(year from d) as y, date_trunc('month', d) as m, a || '-' || coalesce(b, '') as c from t",
        "select a[0] as x, get(b, 1)[2] as y, `timestamp` from t",
        "select path from parquet.`raw/events`",
        'select a, case when b then (c) else (d) end as x from t -- it\'s a "comment"',
    ],
)
def test_the_common_subset_passes(sql: str) -> None:
    assert faults(sql) == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an incremental model whose later run alone reads a list, and a dispatched macro."""
    files = {
        "dbt_project.yml": "{name: strata, version: 1.0.0, profile: strata, vars: {days: 7}}",
        "macros/first_item.sql": """
            {% macro first_item(x) %}{{ return(adapter.dispatch('first_item', 'strata')(x)) }}{% endmacro %}
            {% macro default__first_item(x) %}list_extract({{ x }}, 1){% endmacro %}
            {% macro spark__first_item(x) %}get({{ x }}, 0){% endmacro %}
        """,
        "models/good.sql": "select {{ first_item('a') }} as x, {{ var('days') }} as days from {{ ref('growing') }}",
        "models/growing.sql": """
            {{ config(materialized='incremental') }}
            select a from t {% if is_incremental() %} where len(a) > (select count(*) from {{ this }}) {% endif %}
        """,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_models_are_compiled_as_spark_would_get_them(project: Path) -> None:
    models = compiled_for_spark(project)
    assert models["models/good.sql"] == ["select get(a, 0) as x, 7 as days from main.growing"]
    first, later = (" ".join(sql.split()) for sql in models["models/growing.sql"])
    assert first == "select a from t"
    assert later == "select a from t where len(a) > (select count(*) from main.growing)"


def test_a_fault_in_a_later_run_is_told_with_its_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(project) == 1
    assert "models/growing.sql: line" in (told := capsys.readouterr().err)
    assert "Spark has no function len" in told
    assert "good.sql" not in told


def test_a_project_that_does_not_compile_is_told(project: Path) -> None:
    (project / "models" / "broken.sql").write_text("select {{ var('nowhere') }} as x")
    with pytest.raises(SystemExit, match="does not compile for Spark"):
        compiled_for_spark(project)
