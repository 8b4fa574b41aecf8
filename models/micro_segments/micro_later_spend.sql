-- What customers of month-ends spent later. A view: it has as many rows as all month-ends have customers, and is read
-- for a few of them, when layers are proposed or compared.
{{ config(materialized='view') }}

with windows as (

    select * from {{ ref('micro_spend_windows') }}

),

{{ later_spend('windows') }}

select
    snapshot_date,
    until_date,
    customer_id,
    log_later_spend
from windows_spend
