-- How many customers of each segment have which value now, attribute by attribute in one pass over the customers. Whose
-- value is unknown says nothing and is left out.
{{ config(materialized='table') }}

{% set allowed = "'" ~ var('sensitive_attributes_allowed') | join("', '") ~ "'" -%}
{% set attributes, with_basis = [], [] -%}
{% for attribute in attribute_columns() if not attribute.endswith('_basis') -%}
{% do attributes.append(attribute) -%}
{% if attribute ~ '_basis' in attribute_columns() %}{% do with_basis.append(attribute) %}{% endif -%}
{% endfor -%}
with segments as (

    select * from {{ ref('micro_customer_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

attributes as (

    select * from {{ ref('micro_attributes') }}
    where snapshot_date = {{ as_of() }}

),

catalogue as (

    select * from {{ ref('attributes') }}

),

customers as (

    select
        {% for attribute in attributes -%}
        nullif(attributes.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in with_basis -%}
        case when attributes.{{ attribute }}_basis = 'inferred' then 1 else 0 end as {{ attribute }}_inferred,
        {% endfor -%}
        segments.micro_segment_id
    from segments
    inner join attributes on segments.customer_id = attributes.customer_id

),

grouped as (

    select
        {% for attribute in attributes -%}
        {{ attribute }},
        {% endfor -%}
        {% for attribute in with_basis -%}
        sum({{ attribute }}_inferred) as {{ attribute }}_inferred,
        {% endfor -%}
        micro_segment_id,
        count(*) as customers
    from customers
    group by grouping sets (
        {% for attribute in attributes -%}
        (micro_segment_id, {{ attribute }}){{ ',' if not loop.last }}
        {% endfor %}
    )

),

-- Of the attributes only the one that a row is grouped by is not null.
named as (

    select
        micro_segment_id,
        case
            {%- for attribute in attributes %}
            when {{ attribute }} is not null then '{{ attribute }}'
            {%- endfor %}
        end as dimension,
        coalesce(
            {% for attribute in attributes -%}
            {{ attribute }}{{ ',' if not loop.last }}
            {% endfor %}
        ) as dimension_value,
        customers,
        0 {%- for attribute in with_basis %}
        + case when {{ attribute }} is not null then {{ attribute }}_inferred else 0 end
        {%- endfor %} as customers_inferred
    from grouped

),

final as (

    select
        named.micro_segment_id,
        named.dimension,
        named.dimension_value,
        cast(named.customers as bigint) as customers,
        cast(
            sum(named.customers) over (partition by named.micro_segment_id, named.dimension) as bigint
        ) as customers_known,
        cast(named.customers_inferred as bigint) as customers_inferred
    from named
    inner join catalogue on named.dimension = catalogue.attribute
    where
        not catalogue.is_sensitive
        or named.dimension in ({{ allowed }})

)

select * from final
