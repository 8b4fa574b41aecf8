"""The command line: what the Makefile calls."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.errors import StrataError
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.forget import Plan

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Dataset = Annotated[str, typer.Option(help="Name of the data set.")]
Raw = Annotated[str | None, typer.Option(help="Folder, glob or URL of raw messages that lie elsewhere.")]
Source = Annotated[str | None, typer.Option(help="The file or folder that the data set's SQL reads.")]


def day(text: str | None, name: str) -> date | None:
    """A date from the command line. Raises StrataError for anything but YYYY-MM-DD."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise StrataError(f"{name}={text} is not a date: write YYYY-MM-DD.") from error


@app.command()
def refresh(
    dataset: Dataset = "demo",
    as_of: Annotated[str | None, typer.Option(help="Publish the state of this day, YYYY-MM-DD.")] = None,
    raw: Raw = None,
    source: Source = None,
    size: Annotated[int | None, typer.Option(help="Customers of the demo.")] = None,
    until: Annotated[str | None, typer.Option(help="Last received day of the demo's messages.")] = None,
    rules: Annotated[str | None, typer.Option(help="Folder of rules that stand in for the package's.")] = None,
    now: Annotated[str | None, typer.Option(hidden=True, help="The clock, ISO 8601, for rehearsals.")] = None,
) -> None:
    """Take in what is new, rebuild what depends on it, test it, publish it."""
    from orchestration.refresh import refresh as run
    from orchestration.summary import print_summary

    clock = datetime.fromisoformat(now).replace(tzinfo=UTC) if now else None
    done = run(
        Settings.of(dataset, raw),
        as_of=day(as_of, "AS_OF"),
        source=source,
        size=size,
        until=day(until, "UNTIL"),
        rules=rules,
        own_raw=raw is not None,
        now=clock,
    )
    print_summary(done)


@app.command()
def rebuild(
    dataset: Dataset = "demo",
    start: Annotated[
        str | None, typer.Option("--from", help="First received date that is computed anew, YYYY-MM-DD.")
    ] = None,
    raw: Raw = None,
    rules: Annotated[str | None, typer.Option(help="Folder of rules that stand in for the package's.")] = None,
) -> None:
    """Compute everything anew from a received date on, with the manifest, and publish it."""
    from orchestration.raw_files import EARLIEST
    from orchestration.refresh import refresh as run
    from orchestration.summary import print_summary

    first = day(start, "FROM") or EARLIEST.date()
    print_summary(run(Settings.of(dataset, raw), rules=rules, own_raw=raw is not None, rebuild_from=first))


@app.command()
def check(
    dataset: Dataset = "demo",
    raw: Raw = None,
    source: Source = None,
    size: Annotated[int | None, typer.Option(help="Customers of the demo.")] = None,
) -> None:
    """Dry run: how columns are mapped, what would be rejected and why. Nothing is kept."""
    from orchestration.check import check as run
    from orchestration.refresh import stage_only

    clock = datetime.now(UTC)
    run(
        Settings.of(dataset, raw),
        raw=raw,
        source=source,
        size=size,
        now=clock,
        stage=lambda trial, at, variables: stage_only(trial, at, variables, clock),
    )


@app.command()
def propose_layers(
    dataset: Dataset = "demo",
    layers: Annotated[int, typer.Option(help="Most layers of a macro-segment.", min=1, max=6)] = 4,
    penalty: Annotated[float, typer.Option(help="How dear a segment more is, 1 to 3.", min=0)] = 2.0,
    min_customers: Annotated[int | None, typer.Option(help="Fewest customers of a segment.", min=1)] = None,
) -> None:
    """Choose layers on past month-ends and write them down for a person to accept. Nothing is changed."""
    from orchestration.propose import lines_of, write_proposal
    from orchestration.propose import propose_layers as run

    settings = Settings.of(dataset)
    proposal = run(settings, most_layers=layers, penalty=penalty, minimum=min_customers)
    print("\n".join(lines_of(proposal, *write_proposal(settings, proposal))))


@app.command()
def diff_rules(
    dataset: Dataset = "demo",
    raw: Raw = None,
    rules: Annotated[str | None, typer.Option(help="Folder of rules that stand in for the package's.")] = None,
) -> None:
    """Whom the rules as they lie there would move. Nothing is changed."""
    from orchestration.diff_rules import diff_rules as run
    from orchestration.diff_rules import lines_of

    settings = Settings.of(dataset, raw)
    print("\n".join(lines_of(settings, run(settings, rules=rules, own_raw=raw is not None))))


@app.command()
def explain(
    customer: Annotated[str, typer.Option(help="Its customer_id in the marts.")],
    dataset: Dataset = "demo",
    as_of: Annotated[str | None, typer.Option(help="A kept snapshot, YYYY-MM-DD.")] = None,
) -> None:
    """Why a customer is in a segment, layer by layer, and what would move the customer."""
    from orchestration.explain import explain as run
    from orchestration.explain import lines_of

    print("\n".join(lines_of(run(Settings.of(dataset), customer, day(as_of, "AS_OF")))))


@app.command()
def docs(dataset: Dataset = "demo") -> None:
    """Write dbt's documentation of the models, columns and metrics as one page."""
    from orchestration.docs import write_docs

    print(write_docs(Settings.of(dataset)))


@app.command()
def clean(dataset: Dataset) -> None:
    """Remove a data set's warehouse, publications and manifest, and what was generated for it."""
    from orchestration.refresh import clean as run

    for path in run(Settings.of(dataset)):
        print(f"removed {path}")


@app.command()
def forget(
    dataset: Dataset = "demo",
    customer: Annotated[
        str | None, typer.Option(help="An id, as the marts or the messages have it, or an e-mail.")
    ] = None,
    raw: Raw = None,
    rules: Annotated[str | None, typer.Option(help="Folder of rules that stand in for the package's.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a person from raw files, warehouse, manifest and publications, and prove it by searching."""
    from orchestration.forget import forget as run
    from orchestration.forget_report import print_places, print_plan

    def confirm(plan: Plan) -> bool:
        print_plan(plan)
        if not yes and not sys.stdin.isatty():
            raise StrataError("Nothing was changed: nobody is here to confirm. YES=1 goes on without asking.")
        return yes or typer.confirm("Forget them, for good?")

    settings = Settings.of(dataset, raw)
    print_places(run(settings, customer, confirm=confirm, rules=rules, own_raw=raw is not None))


@app.command()
def rollback(dataset: Dataset = "demo") -> None:
    """Publish the publication before the current one again."""
    from orchestration.rollback import rollback as run

    settings = Settings.of(dataset)
    left, now = run(settings)
    print(f"Published again: run {now['run_id']}, as of {now['as_of']}, instead of run {left or '(none)'}.")
    print(
        "The next refresh publishes the latest state again, a scheduled one too: before it, put right what was wrong."
    )


@app.command()
def sql(
    dataset: Dataset = "demo",
    query: Annotated[
        str | None, typer.Option(help="Print the answer to this query, instead of opening a shell.")
    ] = None,
) -> None:
    """DuckDB's shell on the published marts, read-only."""
    import duckdb_cli

    shell = Path(duckdb_cli.__file__).with_name("duckdb")
    options = ["-c", query] if query else []
    search_path = "set search_path = 'marts,quality'"
    os.execv(shell, [str(shell), "-readonly", "-cmd", search_path, *options, str(_published(dataset, "strata.duckdb"))])  # noqa: S606


@app.command("open")
def open_atlas(dataset: Dataset = "demo") -> None:
    """Open the atlas in the browser, and say where it is."""
    import webbrowser

    path = _published(dataset, "atlas.html")
    print(path)
    if not webbrowser.open(path.as_uri()):
        print("No browser was found here: open that file in yours.")


def _published(dataset: str, link: str) -> Path:
    """A link of a publication. Raises StrataError where it leads nowhere."""
    path = Settings.of(dataset).published.absolute() / link
    if not path.exists():
        raise StrataError(f"there is no {path}: run `make refresh DATASET={dataset}` first.")
    return path


def main() -> None:
    """Run a command; what the user can put right is said without a traceback."""
    # dbt Python models import this package from the project's folder.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    try:
        app()
    except StrataError as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)
