"""Published files that no refresh made: the contract's tables with made-up rows, in the size that a test needs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import yaml

from orchestration.publish import PUBLIC_SCHEMAS
from orchestration.settings import PROJECT_DIR

#: Labels that would do something on a page that took them for mark-up.
HOSTILE = (
    "<script>document.title='taken'</script>",
    "<img src=x onerror=document.title='taken'>",
    "{{ 7*7 }} &amp; <b>B</b> %{label}",
)


def contract_tables(db: duckdb.DuckDBPyConnection) -> None:
    """All published tables with the columns, types and descriptions of their contracts, and no rows."""
    for schema in PUBLIC_SCHEMAS:
        db.execute(f"create schema {schema}")
        for path in sorted((PROJECT_DIR / "models" / schema).glob("*.yml")):
            for model in yaml.safe_load(path.read_text())["models"]:
                columns = ", ".join(f"{column['name']} {column['data_type']}" for column in model["columns"])
                db.execute(f"create table {schema}.{model['name']} ({columns})")


def publish_nothing(path: Path) -> Path:
    """A publication of a shop that nobody has come to yet."""
    with duckdb.connect(str(path)) as db:
        contract_tables(db)
        db.execute("""
            create table main._publication as select 'made_up' as dataset, 7 as checks_passed;
            insert into quality.publication by name select date '2026-01-10' as as_of, 'EUR' as reporting_currency;
        """)
    return path


def publish_segments(path: Path, segments: int) -> Path:
    """A publication of a shop with that many segments in three macro-segments, and a year of month-ends.

    Its labels are HOSTILE. Only the first 30 segments have customers that can be counted.
    """
    publish_nothing(path)
    with duckdb.connect(str(path)) as db:
        db.execute("set variable segments = $segments", {"segments": segments})
        db.execute("set variable hostile = $hostile", {"hostile": list(HOSTILE)})
        db.execute(SHOP)
    return path


SHOP = """
    create temp table days as
        select last_day(cast(month as date)) as snapshot_date, true as is_month_end, false as is_latest
        from range(date '2024-12-01', date '2026-01-01', interval 1 month) as months (month)
        union all
        select date '2026-01-10', false, true;
    insert into marts.calendar by name
        select
            cast(day as date) as calendar_date,
            cast(day as date) = last_day(cast(day as date)) as is_month_end,
            cast(day as date) in (select snapshot_date from days) as is_snapshot
        from range(date '2023-12-01', date '2026-01-11', interval 1 day) as all_days (day);

    create temp table segments as
        select
            number,
            md5('segment' || number) as micro_segment_id,
            getvariable('hostile')[1 + number % 3] as macro_segment,
            macro_segment || ' / group ' || number as micro_segment,
            macro_segment || ' and group = ' || number as rule,
            60 as customers,
            cast(1000 + 10 * number as decimal(18, 2)) as value
        from range(getvariable('segments')) as numbers (number);

    insert into marts.micro_segments by name
        select
            micro_segment_id, micro_segment, macro_segment, rule, rule as rule_sql, number = 0 as is_remainder,
            true as is_current, date '2024-12-31' as first_snapshot_date, date '2026-01-10' as last_snapshot_date,
            customers, 50 as buyers, 40 as email_contactable_customers, value as net_revenue_365d,
            value as predicted_ltv_90d, value - 9 as predicted_ltv_90d_low, value + 9 as predicted_ltv_90d_high,
            value as predicted_ltv_365d, value - 100 as predicted_ltv_365d_low, value + 100 as predicted_ltv_365d_high,
            number <> 1 as is_ltv_backtested
        from segments;
    insert into marts.macro_segments by name
        select
            macro_segment, min(number) as rule_priority, max(macro_segment) as rule, true as is_current,
            count(*) as micro_segments, sum(customers) as customers, sum(50) as buyers,
            sum(value) as predicted_ltv_365d, sum(value) - 500 as predicted_ltv_365d_low,
            sum(value) + 500 as predicted_ltv_365d_high, true as is_ltv_backtested
        from segments
        group by macro_segment;
    insert into marts.micro_segment_snapshots by name
        select
            days.*, micro_segment_id, micro_segment, macro_segment, 50 + month(snapshot_date) as customers,
            value as net_revenue_365d, value as predicted_ltv_365d, value - 100 as predicted_ltv_365d_low,
            value + 100 as predicted_ltv_365d_high, true as is_ltv_backtested
        from segments cross join days
        -- one opened after the first day
        where
            micro_segment_id <> (select max(micro_segment_id) from segments)
            or snapshot_date <> (select min(snapshot_date) from days);
    insert into marts.segment_migrations by name
        select
            'month' as period, days.snapshot_date,
            last_day(days.snapshot_date - interval 1 month) as previous_snapshot_date,
            is_latest, is_month_end, 'behaviour' as step, one.micro_segment_id as from_micro_segment_id,
            one.micro_segment as from_micro_segment, two.micro_segment_id as to_micro_segment_id,
            two.micro_segment as to_micro_segment, 'ltv_tier' as cause, 5 + one.number % 20 as customers,
            one.value as predicted_ltv_365d_before, two.value as predicted_ltv_365d_after
        from segments as one
        inner join segments as two on two.number = (one.number + 1) % getvariable('segments')
        cross join days
        where days.snapshot_date > date '2025-10-31';
    insert into marts.segment_migrations by name
        select
            'month' as period, days.snapshot_date,
            last_day(days.snapshot_date - interval 1 month) as previous_snapshot_date,
            is_latest, is_month_end, 'behaviour' as step, micro_segment_id as from_micro_segment_id,
            micro_segment as from_micro_segment, '(not shown)' as to_micro_segment, 'suppressed' as cause,
            3 as customers,
            value as predicted_ltv_365d_before, 0 as predicted_ltv_365d_after
        from segments cross join days
        where days.snapshot_date > date '2025-10-31';
    insert into marts.segment_profiles by name
        select
            micro_segment_id, micro_segment, macro_segment, 'product' as dimension, label as dimension_value,
            20 as customers, 0.4 as share, 0.2 as macro_share, 1.8 as lift, 1.2 as lift_low, 2.6 as lift_high,
            true as is_distinctive, place as profile_rank, false as is_inferred, false as is_too_small
        from segments
        cross join (select unnest(getvariable('hostile')) as label, unnest(range(1, 4)) as place) as labels;

    insert into marts.customers by name
        select
            micro_segment_id || '-' || person as customer_id, micro_segment_id, micro_segment, macro_segment,
            person < 50 as is_buyer, person < 40 as is_email_contactable, date '2025-03-01' as cohort_month,
            getvariable('hostile')[1 + person % 3] as acquisition_source, person as orders, 20 as net_revenue,
            20 as net_revenue_365d, 0.4 as churn_risk, 17 as predicted_ltv_365d
        from segments cross join range(60) as people (person)
        where number < 30;
    insert into marts.customer_snapshots by name
        select snapshot_date, is_latest, is_month_end, customer_id, is_buyer, orders, 1 as orders_365d,
            predicted_ltv_365d
        from marts.customers
        inner join days on snapshot_date in ('2024-12-31', '2025-12-31', '2026-01-10')
        where is_latest or hash(customer_id) % 10 > 0;
    insert into marts.orders by name
        select
            customer_id as order_id, customer_id,
            date '2025-03-01' + cast(hash(customer_id) % 300 as integer) as order_date,
            datediff('month', date '2025-03-01', order_date) as months_since_first_order, cohort_month,
            if(months_since_first_order = 0, 1, 2) as order_number, 'completed' as order_status, net_revenue
        from marts.customers
        where is_buyer;
    insert into marts.revenue_entries by name
        select order_id as entry_id, order_id, order_date as event_date, order_date as received_date, net_revenue
        from marts.orders;
    insert into marts.audiences by name
        select number as audience_id, getvariable('hostile')[1 + number] as audience, 'bought' as rule, 90 as customers,
            50 as email_contactable_customers, 900 as predicted_ltv_365d, number = 2 as is_too_small
        from range(3) as numbers (number);
    insert into marts.audience_funnel by name
        select number as audience_id, step, step = 2 as is_excluded, getvariable('hostile')[step] as rule,
            200 - 20 * step as customers_after, 200 as customers_alone, 150 as customers_without, false as is_too_small
        from range(3) as numbers (number) cross join range(1, 4) as steps (step);
    insert into quality.revenue_reconciliation values ('EUR', 9, 'difference', false, 0, 0, 0);
"""
