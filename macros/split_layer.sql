{# Purpose: one layer of the segment tree: splits each path by the values of one attribute, so that every child has at least
   min_customers. A value is large when it has that many customers now and is open: the last month-end on which it had
   segment_opens_at times as many is later than the last one on which it had fewer; one that never had fewer is open. The
   customers of all other values stay together as the remainder. Where the remainder is itself too small, the smallest
   large value (by its average to date, then by value) joins it. With fewer than two groups left the path is not split.

   The counts of earlier month-ends are those of today's rule: whoever would have been on the path then, had it been
   the rule, whether or not the tree of that day had such a path.
   Usage: split_layer('layered', 'split') -- after CTEs `layered` (snapshot_date, cell, path_id, attribute, value,
   min_customers, and the columns in `also`, which the path decides), `cell_counts` (cell, counted_date, customers) and
   `counted_dates` (the model micro_counted_dates)
   Output: a chain of CTEs that ends with <name>: snapshot_date, path_id, attribute, value, min_customers, customers,
   customers_to_date (sum over the counted dates), is_open, is_kept, is_split, node_id (the child that the value is in;
   the path itself where it isn't split), other_id (the child of all values that are not kept), and `also`. #}
{% macro split_layer(relation, name, also=[]) -%}
    {%- set path = ['snapshot_date', 'path_id', 'attribute', 'min_customers'] + also -%}
    {{ name }}_dated as (

    select
        {% for column in path -%}
        layered.{{ column }},
        {% endfor -%}
        layered.value,
        counted_dates.is_now,
        counted_dates.month_number,
        counted_dates.months,
        sum(cell_counts.customers) as customers
    from {{ relation }} as layered
    inner join cell_counts on layered.cell = cell_counts.cell
    inner join counted_dates
        on
            layered.snapshot_date = counted_dates.snapshot_date
            and cell_counts.counted_date = counted_dates.counted_date
    where layered.attribute is not null
    group by
        layered.{{ path | join(', layered.') }}, layered.value,
        counted_dates.is_now, counted_dates.month_number, counted_dates.months

),

{{ name }}_opened as (

    select
        *,
        coalesce(max(
            case when customers >= {{ var('segment_opens_at') }} * min_customers then month_number end
        ) over (partition by snapshot_date, path_id, value), 0) as opened_month
    from {{ name }}_dated

),

{{ name }}_counts as (

    select
        {{ path | join(', ') }},
        value,
        sum(case when is_now then customers else 0 end) as customers,
        sum(customers) as customers_to_date,
        -- A month-end without a row is one without a customer.
        sum(case when month_number > opened_month and customers >= min_customers then 1 else 0 end)
        = months - opened_month as is_open
    from {{ name }}_opened
    group by {{ path | join(', ') }}, value, months, opened_month

),

{{ name }}_sizes as (

    select
        *,
        is_open and customers >= min_customers as is_large,
        sum(case when is_open and customers >= min_customers then 0 else customers end) over (
            partition by snapshot_date, path_id
        ) as rest,
        row_number() over (
            partition by snapshot_date, path_id, is_open and customers >= min_customers
            order by customers_to_date nulls last, value nulls last
        ) as size_rank
    from {{ name }}_counts

),

{{ name }}_kept as (

    select
        *,
        is_large and not (rest > 0 and rest < min_customers and size_rank = 1) as is_kept
    from {{ name }}_sizes

),

{{ name }}_grouped as (

    select
        *,
        sum(case when is_kept then 1 else 0 end) over (partition by snapshot_date, path_id)
        + max(case when customers > 0 and not is_kept then 1 else 0 end) over (
            partition by snapshot_date, path_id
        ) >= 2 as is_split
    from {{ name }}_kept

),

{{ name }} as (

    select
        {{ path | join(', ') }},
        value,
        customers,
        customers_to_date,
        is_open,
        is_kept,
        is_split,
        -- The layer's number is not in the id: a rule that keeps its meaning keeps its id.
        case
            when not is_split then path_id
            when is_kept then {{ dbt.hash("path_id || '|' || attribute || '|value|' || value") }}
            else {{ dbt.hash("path_id || '|' || attribute || '|other|'") }}
        end as node_id,
        {{ dbt.hash("path_id || '|' || attribute || '|other|'") }} as other_id
    from {{ name }}_grouped

)
{%- endmacro %}
