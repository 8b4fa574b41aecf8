-- strata.description: Tables that Segment or RudderStack load: a folder of <table>.parquet or .csv, or a DuckDB file
-- strata.needs_source: true
-- strata.tables: true

-- How flattened tables become messages again
-- * identifies, pages, screens, groups and aliases (RudderStack also uses the singular) keep their type. Every other
--   table with an `event` column holds the track messages of one event; `tracks` only gives those whose own table
--   isn't there.
-- * users, accounts and RudderStack's own tables repeat what identifies and groups say, and are left out.
-- * context_campaign_name becomes context.campaign.name for the objects of the spec; traits get back their camel
--   case. Properties are in snake case in the e-commerce spec already.
-- * Loads repeat rows: the reader keeps one message per id.

create table source_messages as
with

own_tables as (
    select distinct table_name
    from source_rows
),

typed as (
    select
        table_name,
        row,
        case
            when table_name in ('identifies', 'identify') then 'identify'
            when table_name in ('pages', 'page') then 'page'
            when table_name in ('screens', 'screen') then 'screen'
            when table_name in ('groups', 'group', '_groups') then 'group'
            when table_name in ('aliases', 'alias', '_aliases') then 'alias'
            when table_name in ('users', 'accounts') or starts_with(table_name, 'rudder_') then null
            when
                table_name = 'tracks' and (row ->> '$.event') in (select own_tables.table_name from own_tables)
                then null
            when json_exists(row, '$.event') or json_exists(row, '$.event_text') then 'track'
        end as type
    from source_rows
)

select
    table_name,
    type,
    row
from typed
where type is not null;

select
    error(
        'no table of messages (identifies, pages, order_completed, ...) is in the source. It has: '
        || coalesce((select string_agg(distinct table_name, ', ') from source_rows), 'no rows') || '.'
    )
from source_messages
having count(*) = 0;

-- Where each column of each table goes: which place, which object in it, under which key. Columns that describe the
-- message or its loading are no properties; context_traits repeats what identifies say.
create table column_places as
with

found as (
    select
        table_name,
        min(type) as type,
        unnest(list_distinct(flatten(list(distinct json_keys(row))))) as column_name
    from source_messages
    group by table_name
),

placed as (
    select
        table_name,
        column_name,
        case
            when starts_with(column_name, 'context_traits_') then null
            when starts_with(column_name, 'context_') then 'context'
            when
                column_name in (
                    'id', 'message_id', 'event', 'event_text', 'anonymous_id', 'user_id', 'previous_id', 'group_id',
                    'timestamp',
                    'original_timestamp',
                    'sent_at',
                    'received_at',
                    'loaded_at',
                    'uuid',
                    'uuid_ts',
                    'rudder_id'
                )
                then null
            when type in ('identify', 'group') then 'traits'
            else 'properties'
        end as place,
        regexp_replace(column_name, '^context_', '') as name
    from found
),

split as (
    select
        *,
        case place
            when 'context'
                then regexp_extract(
                        name, '^(campaign|page|device|os|app|library|network|screen|location|referrer)_.', 1
                    )
            when 'traits' then regexp_extract(name, '^(address|company)_.', 1)
            else ''
        end as object
    from placed
    where place is not null
),

named as (
    select
        *,
        string_split(case when object = '' then name else name[length(object) + 2:] end, '_') as words
    from split
),

keyed as (
    select
        table_name,
        place,
        object,
        list({
            path: '$."' || column_name || '"',
            key: case
                when place = 'properties' then name
                else words[1] || coalesce(
                        list_aggregate(
                            list_transform(words[2:], lambda word: upper(word[1]) || word[2:]), 'string_agg', ''
                        ), ''
                    )
            end
        } order by column_name) as fields
    from named
    group by table_name, place, object
)

select
    table_name,
    list(fields) filter (where place = 'properties')[1] as properties,
    list(fields) filter (where place = 'traits' and object = '')[1] as traits,
    list({ object: object, fields: fields } order by object) filter (where place = 'traits' and object != '')
        as trait_objects,
    list(fields) filter (where place = 'context' and object = '')[1] as context,
    list({ object: object, fields: fields } order by object)
    filter (where place = 'context' and object != '') as context_objects
from keyed
group by table_name;

-- The filled fields of a row as one JSON object; null when none is filled
create macro object_of(source_row, fields) as (
    case
        when len(list_filter(fields, lambda field: json_extract_string(source_row, field.path) is not null)) > 0
            then to_json(map_from_entries(list_transform(
                    list_filter(fields, lambda field: json_extract_string(source_row, field.path) is not null),
                    lambda field: { k: field.key, v: json_extract(source_row, field.path) }
                )))
    end
);

create macro objects_of(source_row, objects) as (
    to_json(map_from_entries(list_filter(
        list_transform(objects, lambda each: { k: each.object, v: object_of(source_row, each.fields) }),
        lambda entry: entry.v is not null
    )))
);

create macro merged(flat, nested) as
nullif(cast(json_merge_patch(coalesce(flat, '{}'), coalesce(nested, '{}')) as varchar), '{}');

-- order_completed -> Order Completed, email_marked_as_spam -> Email Marked as Spam
create macro event_name(table_name) as
list_aggregate(
    list_transform(
        string_split(table_name, '_'),
        lambda word: case when word in ('to', 'from', 'as') then word else upper(word[1]) || word[2:] end
    ), 'string_agg', ' '
);

create macro to_utc(given) as
coalesce(strftime(timezone('UTC', try_cast(given as timestamptz)), '%Y-%m-%d %H:%M:%S.%f'), given);

create table events as
select
    coalesce(messages.row ->> '$.id', messages.row ->> '$.message_id') as message_id,
    messages.type,
    case
        when messages.type = 'track' then coalesce(
                messages.row ->> '$.event_text', event_name(coalesce(messages.row ->> '$.event', messages.table_name))
            )
    end as event,
    messages.row ->> '$.anonymous_id' as anonymous_id,
    messages.row ->> '$.user_id' as user_id,
    messages.row ->> '$.previous_id' as previous_id,
    messages.row ->> '$.group_id' as group_id,
    to_utc(coalesce(messages.row ->> '$.timestamp', messages.row ->> '$.original_timestamp')) as timestamp,
    to_utc(messages.row ->> '$.received_at') as received_at,
    object_of(messages.row, column_places.properties) as properties,
    merged(object_of(messages.row, column_places.traits), objects_of(messages.row, column_places.trait_objects))
        as traits,
    merged(object_of(messages.row, column_places.context), objects_of(messages.row, column_places.context_objects))
        as context
from source_messages as messages
left join column_places
    on messages.table_name = column_places.table_name;

create table notes as
select 'Table ' || table_name || ': ' || count(*) || ' messages of type ' || type || '.' as note
from source_messages
group by table_name, type
union all
select 'Table ' || table_name || ' holds no messages of its own and is left out (' || count(*) || ' rows).'
from source_rows
where not exists (
        from source_messages
        where source_messages.table_name = source_rows.table_name
    )
group by table_name;
