-- What people say of themselves, and what group messages say of their companies, from one look into the JSON of each.
{% set paths = {
    'country': 'address.country',
    'state': 'address.state',
    'city': 'address.city',
    'district': 'address.district',
    'postal_code': 'address.postalCode',
    'birthday': 'birthday',
    'age': 'age',
    'gender': 'gender',
    'income': 'income',
    'education': 'education',
    'occupation': 'occupation',
    'employment_status': 'employmentStatus',
    'employer': 'employer',
    'marital_status': 'maritalStatus',
    'household_size': 'householdSize',
    'children': 'children',
    'home_ownership': 'homeOwnership',
    'nationality': 'nationality',
    'religion': 'religion',
    'lifestyle': 'lifestyle',
    'personal_values': 'values',
    'personality': 'personality',
    'style': 'style',
    'interests': 'interests',
    'first_interest': 'interests[0]',
    'social_networks': 'socialNetworks',
    'email_consent': 'emailConsent',
    'company_id': 'company.id',
    'company_name': 'company.name',
    'company_industry': 'company.industry',
    'company_employees': 'company.employees',
    'company_employee_count': 'company.employee_count',
    'company_plan': 'company.plan',
    'group_industry': 'industry',
    'group_employees': 'employees',
    'group_plan': 'plan',
} -%}
with messages as (

    select * from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and (type = 'group' or (type = 'identify' and traits is not null))
        and {{ in_window('received_date') }}

),

parsed as (

    select
        *,
        type = 'group' as is_group,
        {{ json_texts('traits', paths.values() | list) }} as texts
    from messages

),

named as (

    select
        {% for name in paths -%}
        {{ blank_to_null(item('texts', loop.index)) }} as {{ name }},
        {% endfor -%}
        *
    from parsed

),

-- A group message describes the company that its sender belongs to, the address too.
companies as (

    select
        *,
        case when is_group then group_id else company_id end as known_company_id,
        case when is_group then group_industry else company_industry end as industry,
        case
            when is_group then group_employees
            else coalesce(company_employees, company_employee_count)
        end as employees,
        case when is_group then group_plan else company_plan end as plan,
        is_group or coalesce(
            company_id, company_name, company_industry, company_employees, company_employee_count, company_plan
        ) is not null as names_company
    from named

),

final as (

    select
        received_date,
        message_id,
        event_at,
        received_at,
        event_date,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        is_group,
        names_company,
        country,
        state,
        city,
        district,
        postal_code,
        try_cast(birthday as date) as birth_date,
        {% for name in ['age', 'income', 'household_size', 'children', 'employees'] -%}
        {% for end in ['from', 'to'] -%}
        {{ stated_number(name, end) }} as {{ name }}_{{ end }},
        {% endfor -%}
        {% endfor -%}
        {% for name in [
            'gender', 'education', 'employment_status', 'marital_status', 'home_ownership', 'religion', 'industry', 'plan',
        ] -%}
        lower({{ name }}) as {{ name }},
        {% endfor -%}
        occupation,
        employer,
        nationality,
        {% for name in [
            'lifestyle', 'personal_values', 'personality', 'style', 'interests', 'social_networks',
        ] -%}
        {{ list_text(name) }} as {{ name }},
        {% endfor -%}
        -- Whoever lists several interests begins with the main one.
        lower(coalesce(first_interest, case when interests not like '[%' then interests end)) as main_interest,
        known_company_id as company_id,
        try_cast(email_consent as boolean) as email_consent
    from companies

)

select * from final
