-- A checkpoint names its ledger, and what stood at its sequence: a ledger that was set back or replaced has the same
-- sequences again, under other bytes. And what stands in the ledger without being an event of ours has a table.

alter table checkpoints
    add column ledger_id uuid,
    add column digest text;

-- A checkpoint from before names no ledger. It gets one that no ledger is, so that the projector asks for a rebuild.
update checkpoints
set ledger_id = '00000000-0000-0000-0000-000000000000', digest = repeat('0', 64)
where sequence > 0;

alter table checkpoints
    add constraint checkpoints_sequence_ledger_id_check check ((sequence = 0) = (ledger_id is null)),
    add constraint checkpoints_ledger_id_digest_check check ((ledger_id is null) = (digest is null));

comment on column checkpoints.ledger_id is 'The ledger that was folded: ledger_id in the metadata of stream LEDGER; null before the first event.';
comment on column checkpoints.digest is 'The hash of the bytes at that sequence, 64 hexadecimal digits; null before the first event.';

-- A reader compares it with the ledger as well: a view of a history that is gone shows what is not there any more.
create or replace view results_position as
    select checkpoints.sequence, checkpoints.ledger_id, checkpoints.digest
    from projections
    join checkpoints using (projection_name, generation)
    where projection_name = 'results';

comment on view results_position is 'One row: the last entry of the ledger that the live generation has folded.';

-- Not by generation: a message is foreign in every one, and a rebuild finds it again. The payload is bytea and cut, since
-- its author may have put anything into it.

create table quarantined_messages (
    ledger_id uuid not null,
    sequence bigint not null,
    digest text not null,
    subject text not null,
    payload bytea not null,
    payload_bytes bigint not null,
    reason text not null,
    stored_at timestamptz not null,
    constraint quarantined_messages_sequence_ledger_id_digest_key primary key (sequence, ledger_id, digest),
    constraint quarantined_messages_payload_check check (octet_length(payload) <= 65536)
);

comment on table quarantined_messages is 'Messages of the ledger that are no event of ours. Every reader passes them by.';
comment on column quarantined_messages.ledger_id is 'The ledger.';
comment on column quarantined_messages.sequence is 'The sequence in stream LEDGER.';
comment on column quarantined_messages.digest is 'The hash of its bytes, 64 hexadecimal digits.';
comment on column quarantined_messages.subject is 'Its subject, cut and without control characters.';
comment on column quarantined_messages.payload is 'Its first 64 KiB.';
comment on column quarantined_messages.payload_bytes is 'How many bytes it has.';
comment on column quarantined_messages.reason is 'Why it is no event.';
comment on column quarantined_messages.stored_at is 'When it was stored, by the stream''s clock.';
