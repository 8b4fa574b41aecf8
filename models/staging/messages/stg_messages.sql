with raw_messages as (

    select * from {{ ref('stg_raw_messages') }}

),

{% if is_incremental() -%}
earlier_ids as (

    select message_id
    from {{ this }}
    where received_date < {{ run_from() }} and outcome = 'accepted'

),

{% endif -%}
-- The few repeated ids are found by one aggregation over nothing but the ids: a window over all the wide messages costs
-- several times as much. Ids are unique over all history, so those of the days before the window count too.
-- (Ids repeated outside the window are looked at in vain, and nothing else of the messages needs to be read.)
raw_ids as (

    select {{ blank_to_null('message_id') }} as message_id
    from ({{ read_raw_messages() }}) as read_now

),

repeated_ids as (

    select message_id
    from raw_ids
    where message_id is not null
    group by message_id
    having count(*) > 1
    {% if is_incremental() -%}
    union
    select earlier_ids.message_id
    from earlier_ids
    semi join raw_ids on earlier_ids.message_id = raw_ids.message_id
    {%- endif %}

),

unique_messages as (

    select raw_messages.*
    from raw_messages
    anti join repeated_ids on raw_messages.message_id = repeated_ids.message_id

),

repeated_messages as (

    select raw_messages.*
    from raw_messages
    semi join repeated_ids on raw_messages.message_id = repeated_ids.message_id

),

unique_judged as (

    {{ judge_messages('unique_messages') }}

),

repeated_judged as (

    {{ judge_messages('repeated_messages') }}

),

-- The first to enter the books wins. A rejected message takes no id: it doesn't compete.
decided as (

    select
        unique_judged.*,
        case when reject_reason is null then 'accepted' else 'rejected' end as outcome
    from unique_judged
    union all
    select
        repeated_judged.*,
        case
            when repeated_judged.reject_reason is not null then 'rejected'
            {% if is_incremental() -%}
            when repeated_judged.message_id in (select earlier_ids.message_id from earlier_ids) then 'duplicate'
            {% endif -%}
            when
                row_number() over (
                    partition by repeated_judged.message_id, repeated_judged.reject_reason is null
                    order by
                        repeated_judged.received_date nulls last,
                        repeated_judged.received_at nulls last,
                        {{ dbt.hash(raw_message_text()) }} nulls last,
                        repeated_judged.file nulls last
                ) = 1
                then 'accepted'
            else 'duplicate'
        end as outcome
    from repeated_judged

),

final as (

    select
        file,
        received_date,
        outcome,
        reject_reason,
        case
            when outcome = 'rejected' and reject_reason <> 'forgotten' then {{ raw_message_text() }}
        end as rejected_message,
        message_id,
        type,
        event,
        family,
        activity,
        is_visit,
        anonymous_id,
        user_id,
        previous_id,
        group_id,
        event_at,
        received_at,
        event_date,
        product_id,
        product_category,
        product_brand,
        product_name,
        search_query,
        campaign_id,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_term,
        order_id,
        order_currency,
        order_amount,
        order_shipping,
        order_tax,
        order_discount,
        order_products,
        properties,
        traits
    from decided

)

select * from final
