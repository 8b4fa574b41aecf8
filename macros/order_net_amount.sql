{# Purpose: an order's revenue: net of discounts, without shipping and tax, in its own currency.
   Usage: order_net_amount() -- over the columns subtotal, total, shipping, tax, revenue, discount
   Output: decimal(18, 2); null where the message states no amount (the lines then tell).
   The spec's `subtotal` is just that. Without it, total - shipping - tax is, unless it contradicts an explicit `revenue`
   (which some senders give before and some after the discount, so it is the last choice). A refund states its total. #}
{% macro order_net_amount() -%}
    cast(
        case
            when event = 'Order Refunded' then coalesce(total, revenue, subtotal)
            when subtotal is not null then subtotal
            when total is not null and (
                revenue is null
                or revenue = total - coalesce(shipping, 0) - coalesce(tax, 0)
                or revenue = total - coalesce(shipping, 0) - coalesce(tax, 0) + coalesce(discount, 0)
            ) then greatest(total - coalesce(shipping, 0) - coalesce(tax, 0), 0)
            else revenue
        end as decimal(18, 2)
    )
{%- endmacro %}
