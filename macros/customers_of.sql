{# Purpose: who was behind an id, as known on each snapshot date: the user of a message wins; else the user its device is
   linked to; else the device itself. Then aliases are followed. Links and aliases count from the day they were posted.
   Usage: customers_of('entries', ['event_date', 'orders']) -- after CTEs named `entries` (with received_date, is_user,
   actor_id and these columns) and `snapshot_dates` (with snapshot_date)
   Output: a CTE named <relation>_of_customers: snapshot_date, customer_id, is_known (somebody with a name, or a number), and
   the columns; one row per row of the relation and snapshot date on which it had been posted.
   `within` narrows the rows of each snapshot, e.g. 'entries.event_date > snapshot_dates.snapshot_date'. #}
{% macro customers_of(relation, columns, within=none) -%}
    {{ relation }}_of_links as (

    select
        snapshot_dates.snapshot_date,
        {{ relation }}.is_user or links.user_id is not null as is_known,
        coalesce(links.user_id, {{ relation }}.actor_id) as actor_id
        {%- for column in columns %},
        {{ relation }}.{{ column }}
        {%- endfor %}
    from {{ relation }}
    inner join snapshot_dates
        on
            {{ relation }}.received_date <= snapshot_dates.snapshot_date
            {%- if within %}
            and {{ within }}
            {%- endif %}
    left join {{ ref('int_identity_links') }} as links
        on
            not {{ relation }}.is_user
            and {{ relation }}.actor_id = links.anonymous_id
            and links.received_date <= snapshot_dates.snapshot_date

),

{{ relation }}_of_customers as (

    select
        links.snapshot_date,
        links.is_known or aliases.customer_id is not null as is_known,
        {{ public_id('coalesce(aliases.customer_id, links.actor_id)') }} as customer_id
        {%- for column in columns %},
        links.{{ column }}
        {%- endfor %}
    from {{ relation }}_of_links as links
    left join {{ ref('int_alias_snapshots') }} as aliases
        on links.snapshot_date = aliases.snapshot_date and links.actor_id = aliases.previous_id

)
{%- endmacro %}
