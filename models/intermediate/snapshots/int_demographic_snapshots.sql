-- Who the customer is, as stated and known on the snapshot date.
{% set banded = {
    'age_band': 'age', 'income_band': 'income', 'household_size': 'household_size', 'children': 'children',
} -%}
with snapshots as (

    select
        snapshot_date,
        customer_id
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

traits as (

    select * from {{ ref('int_trait_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

stages as (

    select * from {{ ref('int_life_stage_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

bands as (

    select * from {{ ref('bands') }}

),

countries as (

    select * from {{ ref('countries') }}

),

-- Numbers are few: each is looked up once. An open upper end is -1, so that it can be joined.
numbers as (

    {% for attribute, range in banded.items() -%}
    select distinct
        '{{ attribute }}' as attribute,
        {{ range }}_from as lower_end,
        coalesce({{ range }}_to, -1) as upper_end
    from traits
    where {{ range }}_from is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

number_bands as (

    select
        numbers.attribute,
        numbers.lower_end,
        numbers.upper_end,
        bands.band
    from numbers
    inner join bands on {{ in_band('bands', 'numbers.attribute', 'numbers.lower_end', 'numbers.upper_end') }}

),

known as (

    select
        traits.*,
        {% for attribute in banded -%}
        {{ attribute }}_bands.band as {{ attribute }}_known,
        {% endfor -%}
        coalesce(by_code.country_code, by_name.country_code, traits.nationality) as nationality_known
    from traits
    {% for attribute, range in banded.items() -%}
    left join number_bands as {{ attribute }}_bands
        on
            {{ attribute }}_bands.attribute = '{{ attribute }}'
            and traits.{{ range }}_from = {{ attribute }}_bands.lower_end
            and coalesce(traits.{{ range }}_to, -1) = {{ attribute }}_bands.upper_end
    {% endfor -%}
    left join countries as by_code on upper(traits.nationality) = by_code.country_code
    left join countries as by_name on lower(traits.nationality) = lower(by_name.country_name)

),

final as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        {% for attribute in banded -%}
        coalesce(known.{{ attribute }}_known, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in [
            'gender', 'education', 'occupation', 'employment_status', 'marital_status', 'home_ownership',
        ] -%}
        coalesce(known.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        coalesce(known.nationality_known, 'unknown') as nationality,
        -- a band is not an age, and an absurd age is none
        case when known.age_from = known.age_to and known.age_band_known is not null then known.age_from end as age,
        coalesce(stages.life_stage, 'unknown') as life_stage,
        {{ allowed_attribute('employer', 'known.employer') }} as employer,
        {{ allowed_attribute('religion', 'known.religion') }} as religion
    from snapshots
    left join known
        on snapshots.snapshot_date = known.snapshot_date and snapshots.customer_id = known.customer_id
    left join stages
        on snapshots.snapshot_date = stages.snapshot_date and snapshots.customer_id = stages.customer_id

)

select * from final
