-- depends_on: {{ source('raw', 'campaigns') }}
with campaigns as (

    {{ read_reference('campaigns', ['campaign_id', 'campaign_name', 'channel', 'started_on', 'ended_on', 'cost', 'currency']) }}

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

)

select * from final
