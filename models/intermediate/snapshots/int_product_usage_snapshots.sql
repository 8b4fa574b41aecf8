-- Whether, how broadly and in which categories and brands a customer uses what is sold, as attributes.
{% set banded = {
    'category_breadth': 'measured.categories',
    'long_tail_taste': 'measured.long_tail_share',
} -%}
with customers as (

    select * from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

categories as (

    select * from {{ ref('int_category_taste_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

products as (

    select * from {{ ref('int_product_taste_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

measured as (

    select
        customers.snapshot_date,
        customers.customer_id,
        customers.is_buyer,
        least(
            customers.days_since_last_order,
            {{ dbt.datediff('customers.last_visit_date', 'customers.snapshot_date', 'day') }}
        ) < {{ threshold('activity_status', 'within_days') }} as is_active,
        categories.top_category,
        products.top_brand,
        categories.categories,
        case
            when products.lines >= {{ threshold('long_tail_taste', 'min_lines') }}
                then {{ share('products.long_tail_net_revenue', 'products.net_revenue') }}
        end as long_tail_share
    from customers
    {% for relation in ['categories', 'products'] -%}
    left join {{ relation }}
        on
            customers.snapshot_date = {{ relation }}.snapshot_date
            and customers.customer_id = {{ relation }}.customer_id
    {% endfor %}
),

final as (

    select
        measured.snapshot_date,
        measured.customer_id,
        case when measured.is_buyer then 'users' else 'non-users' end as user_status,
        case when measured.is_active then 'active' else 'inactive' end as activity_status,
        coalesce(measured.top_category, 'unknown') as top_category,
        coalesce(measured.top_brand, 'unknown') as top_brand,
        {% for attribute in banded -%}
        coalesce({{ attribute }}_bands.band, 'unknown') as {{ attribute }},
        {% endfor -%}
        measured.categories,
        measured.long_tail_share
    from measured
    {{- join_bands(banded) }}

)

select * from final
