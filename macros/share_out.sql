{# Purpose: an amount shared out over rows in proportion to a weight, to the cent: the shares add up to the amount.
   Usage: share_out('order_revenue', 'weight', 'order_id, received_date', 'line_number')
   Output: decimal(18, 2). Each share is the rounded amount to date less the one before it, in the order given, which must
   be unique within the partition. Where all weights are zero, equal shares. #}
{% macro share_out(amount, weight, partition_by, order_by) -%}
    {%- set window = 'partition by ' ~ partition_by ~ ' order by ' ~ order_by ~ ' nulls last rows between unbounded preceding and ' -%}
    {%- set total -%} sum({{ weight }}) over (partition by {{ partition_by }}) {%- endset -%}
    {%- set rows -%} count(*) over (partition by {{ partition_by }}) {%- endset -%}
    {%- set number -%} row_number() over (partition by {{ partition_by }} order by {{ order_by }} nulls last) {%- endset -%}
    case
        when {{ total }} = 0
            then
                cast(cast({{ amount }} as double) * {{ number }} / {{ rows }} as decimal(18, 2))
                - cast(cast({{ amount }} as double) * ({{ number }} - 1) / {{ rows }} as decimal(18, 2))
        else
            cast(
                cast({{ amount }} as double)
                * cast(sum({{ weight }}) over ({{ window }} current row) as double) / cast({{ total }} as double)
                as decimal(18, 2)
            ) - cast(
                cast({{ amount }} as double)
                * cast(sum({{ weight }}) over ({{ window }} current row) - {{ weight }} as double) / cast({{ total }} as double)
                as decimal(18, 2)
            )
    end
{%- endmacro %}
