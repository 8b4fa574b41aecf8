-- What customers have said of themselves, as known on the snapshot date: of each trait the latest statement. An address
-- is one statement, and so are the two ends of a range: parts of different statements are never mixed.
{% set worded = ['gender', 'employment_status', 'marital_status', 'home_ownership'] -%}
{% set traits = [
    'birth_date', 'education', 'occupation', 'employer', 'nationality', 'religion',
    'lifestyle', 'personal_values', 'personality', 'style', 'interests', 'main_interest', 'social_networks',
    'company_id', 'industry',
] -%}
{% set ranges = ['income', 'household_size', 'children', 'employees'] -%}
{% set address = ['country', 'state', 'city', 'district', 'postal_code'] -%}
{% set latest = struct({'event_at': 'trait_messages.event_at', 'message_id': 'trait_messages.message_id'}) -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

trait_messages as (

    select
        *,
        {{ dbt.hash('message_id') }} as message_key,
        {{ struct(dict(zip(address, address))) }} as address,
        coalesce({{ address | join(', ') }}) is not null as has_address
    from {{ ref('stg_trait_messages') }}
    where actor_id is not null

),

{{ customers_of('trait_messages', ['message_key']) }},

-- Nearly everybody has said the same at one snapshot as at the one before, so each set of messages is merged once. To
-- merge them for every customer and snapshot costs three times as much.
said as (

    select
        snapshot_date,
        customer_id,
        {{ sorted_text('message_key') }} as messages_said
    from trait_messages_of_customers
    group by snapshot_date, customer_id

),

members as (

    select distinct
        said.messages_said,
        of_customers.message_key
    from said
    inner join trait_messages_of_customers as of_customers
        on said.snapshot_date = of_customers.snapshot_date and said.customer_id = of_customers.customer_id

),

merged as (

    select
        members.messages_said,
        {% for trait in traits + worded -%}
        max_by({{ trait }}, {{ latest }}) filter (where {{ trait }} is not null) as {{ trait }},
        {% endfor -%}
        {% for range in ['age'] + ranges -%}
        max_by(
            {{ struct({'lower': range ~ '_from', 'upper': range ~ '_to'}) }}, {{ latest }}
        ) filter (where {{ range }}_from is not null) as {{ range }},
        {% endfor -%}
        max(case when age_from is not null then event_date end) as age_stated_date,
        max_by(address, {{ latest }}) filter (where has_address and not is_group) as own_address,
        max_by(address, {{ latest }}) filter (where has_address and is_group) as company_address,
        max(case when names_company then 1 else 0 end) = 1 as is_company
    from members
    inner join trait_messages on members.message_key = trait_messages.message_key
    group by members.messages_said

),

final as (

    select
        said.snapshot_date,
        said.customer_id,
        {% for trait in traits -%}
        merged.{{ trait }},
        {% endfor -%}
        {% for trait in worded -%}
        coalesce({{ trait }}_words.value, merged.{{ trait }}) as {{ trait }},
        {% endfor -%}
        {% for range in ranges -%}
        merged.{{ range }}.lower as {{ range }}_from,
        merged.{{ range }}.upper as {{ range }}_to,
        {% endfor -%}
        -- An age that was stated as a number grows with time; one that was stated as a range stays.
        {% for end in ['lower', 'upper'] -%}
        case
            when merged.birth_date is not null then {{ full_years('merged.birth_date', 'said.snapshot_date') }}
            when merged.age.lower = merged.age.upper
                then merged.age.lower + {{ full_years('merged.age_stated_date', 'said.snapshot_date') }}
            else merged.age.{{ end }}
        end as age_{{ 'from' if end == 'lower' else 'to' }},
        {% endfor -%}
        -- A company's contact who gives no other address is where the company is.
        {% for part in address -%}
        case
            when merged.own_address is not null then merged.own_address.{{ part }}
            else merged.company_address.{{ part }}
        end as {{ part }},
        {% endfor -%}
        merged.company_address.country as company_country,
        merged.company_address.city as company_city,
        merged.is_company
    from said
    inner join merged on said.messages_said = merged.messages_said
    {% for trait in worded -%}
    left join {{ ref('stated_values') }} as {{ trait }}_words
        on {{ trait }}_words.attribute = '{{ trait }}' and merged.{{ trait }} = {{ trait }}_words.stated_value
    {% endfor %}

)

select * from final
