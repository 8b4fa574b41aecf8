"""Dagster: the refresh as one asset, every morning. `make dev` opens it; it does what `make refresh` does."""

import os

from dagster import AssetExecutionContext, AssetSelection, Definitions, MaterializeResult, ScheduleDefinition, asset
from dagster import define_asset_job as job

from orchestration.dbt import business_variables
from orchestration.settings import Settings

DATASET = os.environ.get("DATASET") or "demo"
RAW = os.environ.get("RAW") or None
RULES = os.environ.get("RULES") or None


@asset(group_name="published", description="The tested marts that readers open.")
def published_marts(context: AssetExecutionContext) -> MaterializeResult:
    """Run the refresh of DATASET (environment; RAW and RULES where its messages and rules lie elsewhere)."""
    from orchestration.refresh import refresh  # imported late: dbt takes seconds

    settings = Settings.of(DATASET, RAW)
    done = refresh(settings, rules=RULES, own_raw=RAW is not None, progress=False)
    for note in done.notes:
        context.log.warning(note)
    return MaterializeResult(
        metadata={
            "as_of": done.window.as_of.isoformat(),
            "is_new": done.published is not None,
            "published": str(settings.published / "strata.duckdb"),
            **{f"seconds, {stage}": seconds for stage, seconds in done.seconds.items()},
        }
    )


refresh_job = job("refresh", selection=AssetSelection.assets(published_marts))

definitions = Definitions(
    assets=[published_marts],
    jobs=[refresh_job],
    schedules=[
        ScheduleDefinition(
            job=refresh_job,
            cron_schedule="0 4 * * *",
            execution_timezone=business_variables({})["business_timezone"],
        )
    ],
)
