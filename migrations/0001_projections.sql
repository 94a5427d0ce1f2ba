-- Where each projection stands, and which of its generations readers see.
--
-- A generation is one complete copy of a projection's rows. A rebuild fills the next generation beside the live one
-- and then moves the pointer, so that readers see either copy whole.

create table projections (
    projection_name text not null,
    generation integer not null,
    constraint projections_projection_name_key primary key (projection_name),
    constraint projections_generation_check check (generation > 0)
);

comment on table projections is 'One row for each projection in this database: the generation that readers see.';
comment on column projections.projection_name is 'The projection, as results.';
comment on column projections.generation is 'The live generation. Moved only by a rebuild, in one transaction.';

create table checkpoints (
    projection_name text not null,
    generation integer not null,
    sequence bigint not null,
    constraint checkpoints_projection_name_generation_key primary key (projection_name, generation),
    constraint checkpoints_sequence_check check (sequence >= 0)
);

comment on table checkpoints is 'How far each generation has folded the ledger. Moves in the transaction that writes the rows.';
comment on column checkpoints.projection_name is 'The projection, as results.';
comment on column checkpoints.generation is 'The generation of the rows.';
comment on column checkpoints.sequence is 'The sequence in stream LEDGER of the last event folded, 0 before the first.';

insert into projections (projection_name, generation) values ('results', 1);
insert into checkpoints (projection_name, generation, sequence) values ('results', 1, 0);
