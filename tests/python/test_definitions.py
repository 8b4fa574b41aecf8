"""Dagster's code location loads, and schedules what `make refresh` does."""

from dagster import DefaultScheduleStatus

from orchestration.definitions import definitions


def test_the_refresh_is_one_job_over_the_published_marts():
    """A job that left the asset out would run and publish nothing."""
    job = definitions.resolve_job_def("refresh")
    assert [node.name for node in job.graph.nodes] == ["published_marts"]


def test_the_schedule_runs_daily_in_the_business_time_zone():
    """It is off until somebody turns it on: a checkout must not start to work by itself."""
    schedule = definitions.resolve_schedule_def("refresh_schedule")
    assert schedule.cron_schedule == "0 4 * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status == DefaultScheduleStatus.STOPPED
