-- depends_on: {{ source('raw', 'campaigns') }}
with campaigns as (

    {{ read_reference(
        'campaigns', ['campaign_id', 'campaign_name', 'channel', 'started_on', 'ended_on', 'cost', 'currency']
    ) }}

),

final as (

    select
        campaign_id,
        campaign_name,
        channel as campaign_channel,
        try_cast(started_on as date) as start_date,
        try_cast(ended_on as date) as end_date,
        try_cast(cost as decimal(18, 2)) as cost,
        currency
    from campaigns
    where campaign_id is not null
    qualify
        row_number() over (
            partition by campaign_id
            order by
                campaign_name nulls last, channel nulls last, started_on nulls last, ended_on nulls last,
                cost nulls last, currency nulls last
        ) = 1

)

select * from final
