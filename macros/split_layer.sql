{# Purpose: one layer of the segment tree: splits each path by the values of one attribute, so that every child has at least
   min_customers. A value with fewer is not kept; the customers of all such values stay together as the remainder. Where
   the remainder is itself too small, the smallest kept value (by customers, then by value) joins it. With fewer than two
   groups left the path is not split.
   Usage: split_layer('layered', 'split') -- `layered` is a CTE with snapshot_date, path_id, attribute, value,
   min_customers, customers; any number of rows for one value
   Output: a chain of CTEs that ends with <name>: snapshot_date, path_id, value, is_kept, is_split, other_rule_values
   (the kept values, quoted, for the rule of the remainder). #}
{% macro split_layer(relation, name) -%}
    {{ name }}_counts as (

    select
        snapshot_date,
        path_id,
        value,
        min_customers,
        sum(customers) as customers
    from {{ relation }}
    where attribute is not null
    group by snapshot_date, path_id, value, min_customers

),

{{ name }}_sizes as (

    select
        *,
        customers >= min_customers as is_large,
        sum(case when customers < min_customers then customers else 0 end) over (
            partition by snapshot_date, path_id
        ) as rest,
        row_number() over (
            partition by snapshot_date, path_id, customers >= min_customers
            order by customers nulls last, value nulls last
        ) as size_rank
    from {{ name }}_counts

),

{{ name }}_kept as (

    select
        *,
        is_large and not (rest > 0 and rest < min_customers and size_rank = 1) as is_kept
    from {{ name }}_sizes

),

{{ name }} as (

    select
        {{ name }}_kept.snapshot_date,
        {{ name }}_kept.path_id,
        {{ name }}_kept.value,
        {{ name }}_kept.is_kept,
        groups.kept_values + groups.remainders >= 2 as is_split,
        groups.other_rule_values
    from {{ name }}_kept
    inner join (
        select
            snapshot_date,
            path_id,
            sum(case when is_kept then 1 else 0 end) as kept_values,
            max(case when is_kept then 0 else 1 end) as remainders,
            {{ sorted_text("case when is_kept then '''' || replace(value, '''', '''''') || '''' end") }} as other_rule_values
        from {{ name }}_kept
        group by snapshot_date, path_id
    ) as groups
        on
            {{ name }}_kept.snapshot_date = groups.snapshot_date
            and {{ name }}_kept.path_id = groups.path_id

)
{%- endmacro %}
