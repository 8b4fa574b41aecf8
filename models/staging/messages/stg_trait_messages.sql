with messages as (

    select * from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and type in ('identify', 'group')
        and traits is not null
        and {{ in_window('received_date') }}

),

parsed as (

    select
        *,
        {{ json_texts('traits', [
            'address.country', 'address.city', 'address.postalCode', 'address.state', 'birthday', 'age', 'gender',
            'emailConsent', 'company.industry', 'company.employees', 'company.name', 'industry', 'employees', 'name',
        ]) }} as texts
    from messages

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
        {{ blank_to_null(item('texts', 1)) }} as country,
        {{ blank_to_null(item('texts', 2)) }} as city,
        {{ blank_to_null(item('texts', 3)) }} as postal_code,
        {{ blank_to_null(item('texts', 4)) }} as state,
        try_cast({{ item('texts', 5) }} as date) as birth_date,
        {{ blank_to_null(item('texts', 6)) }} as age,
        lower({{ blank_to_null(item('texts', 7)) }}) as gender,
        try_cast({{ item('texts', 8) }} as boolean) as email_consent,
        -- A group message describes the company that its sender belongs to.
        nullif(trim(case
            when type = 'group' then {{ item('texts', 12) }} else {{ item('texts', 9) }}
        end), '') as industry,
        try_cast(case
            when type = 'group' then {{ item('texts', 13) }} else {{ item('texts', 10) }}
        end as integer) as employees
    from parsed

)

select * from final
