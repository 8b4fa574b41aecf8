-- What a customer last answered, as known on the snapshot date. A score that is not on the scale is no answer.
{% set latest = struct({'event_at': 'event_at', 'message_id': 'message_id'}) -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

answers as (

    select
        messages.*,
        case when messages.question = 'nps' and messages.score between 0 and 10 then messages.score end as nps_score,
        messages.question || ': ' || case when questions.question is not null then messages.answer end as survey_answer
    from {{ ref('stg_survey_messages') }} as messages
    left join {{ ref('survey_questions') }} as questions on messages.question = questions.question

),

{{ customers_of('answers', ['event_at', 'message_id', 'nps_score', 'survey_answer']) }},

final as (

    select
        snapshot_date,
        customer_id,
        max_by(nps_score, {{ latest }}) filter (where nps_score is not null) as nps_score,
        max_by(survey_answer, {{ latest }}) filter (where survey_answer is not null) as survey_answer
    from answers_of_customers
    where nps_score is not null or survey_answer is not null
    group by snapshot_date, customer_id

)

select * from final
