"""Does every model also run on Spark? Compiles the project for Spark, without one, and parses what comes out.

    python tests/python/spark_dialect.py [project folder]

dbt-spark's own macros and the `spark__` ones of macros/cross_db are used, so what is parsed is what Spark would get.
Incremental models are compiled both ways, as a first run and as a later one. sqlglot parses the SQL in its Spark
dialect; the rules below catch what it lets pass: other engines' functions, types and operators. (sqlfluff's Spark
grammar was tried: it knows the types, but not `::`, `distinct on` or functions, and takes 0.4 s a model.)
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import sqlglot
from sqlglot import exp
from sqlglot.tokens import Token, Tokenizer, TokenType

PROJECT_DIR = Path(__file__).resolve().parents[2]
FUNCTIONS = frozenset((Path(__file__).parent / "spark_functions.txt").read_text().split())

# Functions that mean or return different things on the two engines, or from run to run.
TRAPS = {
    "any_value": "use min or max: any_value differs from run to run",
    "concat": "use || with coalesce: concat treats null differently",
    "dayofweek": "counts from 0 on DuckDB and from 1 on Spark",
    "hash": "use dbt.hash: hash differs between engines",
    "listagg": "its order is not kept on Spark",
    "log": "use ln or log10: log is base 10 on DuckDB and base e on Spark",
    "string_agg": "its order is not kept on Spark",
} | dict.fromkeys(
    ("current_date", "current_timestamp", "gen_random_uuid", "now", "rand", "randn", "random", "shuffle", "uuid"),
    "a result must not depend on chance or on when it was computed",
)

OPERATORS = {
    TokenType.DCOLON: "`::` is not Spark's: write cast(... as ...)",
    TokenType.DARROW: "`->>` is not Spark's: use the macros of macros/cross_db for JSON",
    TokenType.GLOB: "`glob` is not Spark's: use like",
}

# As written in a cast; varchar needs its length on Spark.
TYPES = frozenset(
    """
    varchar text hugeint uhugeint ubigint uinteger usmallint utinyint blob bytea json jsonb uuid timestamptz time
    int1 int2 int4 int8 float4 float8 bool bit list
    """.split()  # noqa: SIM905
)

# What may stand before a bracket without being a function.
KEYWORDS = frozenset(
    """
    all and any array as between by case cluster cross cube distinct distribute else end except exists filter from full
    group grouping having if ilike in inner intersect interval is join lateral left like limit map minus not natural
    offset on or order outer over partition percent qualify range right rlike rollup row rows select semi anti set sets
    some struct table tablesample then union using values view when where window with within decimal char varchar
    """.split()  # noqa: SIM905
)


def faults(sql: str) -> list[str]:
    """What Spark would refuse, or understand differently, in one query; empty when nothing."""
    return [*_by_token(sql), *_by_tree(sql)]


def _by_token(sql: str) -> Iterator[str]:
    tokens = Tokenizer(dialect="spark").tokenize(sql)
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        if token.token_type in OPERATORS:
            yield f"line {token.line}: {OPERATORS[token.token_type]}"
        if token.text.lower() in TYPES and _is_type(before, after):
            yield f"line {token.line}: Spark has no type {token.text.lower()}: use dbt.type_string() and the like"
        following = after.token_type if after is not None else None
        if token.token_type == TokenType.COMMA and following in (TokenType.FROM, TokenType.R_PAREN):
            yield f"line {token.line}: a comma after the last item"
        if token.token_type == TokenType.FROM and (before is None or before.token_type == TokenType.L_PAREN):
            yield f"line {token.line}: a query that begins with `from` is not Spark's"
        if token.token_type == TokenType.USING and after is not None and after.text.lower() == "sample":
            yield f"line {token.line}: `using sample` is not Spark's"
        if token.token_type == TokenType.L_BRACKET and _begins_value(before):
            yield f"line {token.line}: `[...]` makes no list on Spark: use a macro of macros/cross_db"
        if sql[token.start] == '"':
            yield f"line {token.line}: {sql[token.start : token.end + 1]} is a text on Spark: don't quote names"
        if following == TokenType.L_PAREN and _is_call(before, token, sql):
            name = token.text.lower()
            if name in TRAPS:
                yield f"line {token.line}: {name}(): {TRAPS[name]}"
            elif name not in FUNCTIONS:
                yield (
                    f"line {token.line}: Spark has no function {name}: take one that both engines have, "
                    "or dispatch it in macros/cross_db"
                )


def _is_type(before: Token | None, after: Token | None) -> bool:
    """Is it the end of `cast(... as <type>)`?"""
    return (
        before is not None
        and before.token_type == TokenType.ALIAS
        and after is not None
        and after.token_type in (TokenType.R_PAREN, TokenType.L_BRACKET)
    )


def _begins_value(before: Token | None) -> bool:
    """Does a bracket begin a value here, rather than take an element of what stands before it?"""
    if before is None or before.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET):
        return False
    return not re.match(r"[`\w]", before.text) or before.text.lower() in KEYWORDS


def _is_call(before: Token | None, token: Token, sql: str) -> bool:
    word = sql[token.start : token.end + 1]
    if not re.fullmatch(r"[A-Za-z_]\w*", word) or word.lower() in KEYWORDS:
        return False
    return before is None or before.token_type != TokenType.ALIAS  # `values ... as t (a, b)` names columns


def _by_tree(sql: str) -> Iterator[str]:
    try:
        tree = sqlglot.parse_one(sql, read="spark", error_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError as error:
        message = re.sub(r"\x1b\[\d+m", "", str(error)).strip()  # it underlines for a terminal
        yield f"sqlglot can't read it as Spark SQL: {message}"
        return
    if not isinstance(tree, exp.Query):
        yield f"a model is one query, not {tree.key}"
    for node in tree.walk():
        if isinstance(node, exp.Distinct) and node.args.get("on"):
            yield "`distinct on` is not Spark's: use row_number"
        if isinstance(node, exp.Star) and any(node.args.values()):
            yield "`* exclude / replace / rename` is not Spark's: list the columns"
        if isinstance(node, exp.Join) and (node.args.get("method") or "").upper() in ("ASOF", "POSITIONAL"):
            yield f"{node.args['method'].lower()} join is not Spark's"
        if isinstance(node, exp.With) and node.args.get("recursive"):
            yield "`with recursive` is not in Spark 3"
        if isinstance(node, exp.SetOperation) and node.args.get("by_name"):
            yield "`union by name` is not Spark's: list the columns in one order"


def compiled_for_spark(project: Path) -> dict[str, list[str]]:
    """File of each SQL model -> its SQL on Spark: as a first run and, where that differs, as a later one.

    No connection is opened: the adapter is told what tables exist.

    Raises SystemExit with dbt's message when the project does not compile.
    """
    # dbt-spark asks for a driver when it reads the profile, long before it would connect
    sys.modules.setdefault("pyodbc", types.ModuleType("pyodbc"))
    from dbt.adapters.spark import SparkAdapter
    from dbt.cli.main import dbtRunner

    def compiled(is_later_run: bool) -> dict[str, str]:
        def get_relation(adapter: SparkAdapter, database: str | None, schema: str, identifier: str) -> object:
            table = adapter.Relation.create(schema=schema, identifier=identifier, type="table")
            return table if is_later_run else None

        with mock.patch.object(SparkAdapter, "get_relation", get_relation):
            result = dbtRunner(manifest=parsed.result).invoke(["--quiet", "compile", *options])
        _stop_unless(result)
        return {
            run.node.original_file_path: run.node.compiled_code
            for run in result.result
            if run.node.resource_type == "model" and run.node.language == "sql"
        }

    with tempfile.TemporaryDirectory() as scratch:
        spark = {"type": "spark", "method": "odbc", "host": "nowhere", "driver": "none", "schema": "main"}
        profile = {"strata": {"target": "spark", "outputs": {"spark": spark}}}
        (Path(scratch) / "profiles.yml").write_text(json.dumps(profile))
        folders = ["--project-dir", str(project), "--profiles-dir", scratch, "--target-path", scratch]
        folders += ["--log-path", scratch]
        parsed = dbtRunner().invoke(["--quiet", "parse", "--no-partial-parse", *folders])
        _stop_unless(parsed)
        options = [*folders, "--no-write-json", "--no-populate-cache", "--no-introspect"]
        first, later = compiled(is_later_run=False), compiled(is_later_run=True)
    return {file: list(dict.fromkeys([sql, later[file]])) for file, sql in first.items()}


def _stop_unless(result: Any) -> None:
    if not result.success:
        nodes = getattr(result.result, "results", ())
        messages = [node.message for node in nodes if node.message] or [str(result.exception)]
        raise SystemExit("the project does not compile for Spark:\n" + "\n".join(messages))


def main(project: Path) -> int:
    models = compiled_for_spark(project)
    found = 0
    for file, variants in sorted(models.items()):
        for fault in dict.fromkeys(fault for sql in variants for fault in faults(sql)):
            print(f"{file}: {fault}", file=sys.stderr)
            found += 1
    if found:
        print(f"{found} faults (line numbers are those of the SQL compiled for Spark)", file=sys.stderr)
        return 1
    print(f"{len(models)} models are good Spark SQL")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT_DIR))
