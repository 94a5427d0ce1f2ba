-- Every attempt to run a submission. There is no foreign key: the projector writes both tables in one transaction, and a
-- rebuild writes millions of rows.

create table attempts (
    generation integer not null,
    submission_id uuid not null,
    number bigint not null,
    executor text not null,
    boot_id uuid not null,
    image text not null,
    image_digest text not null,
    sandbox_profile text not null,
    isolation text not null,
    kernel text not null,
    cpu_model text not null,
    started_at timestamptz not null,
    lost_reason text,
    lost_at timestamptz,
    constraint attempts_generation_submission_id_number_key primary key (generation, submission_id, number),
    constraint attempts_isolation_check check (isolation in ('single-use')),
    constraint attempts_lost_reason_check
        check (lost_reason in ('executor_gone', 'not_held', 'cell_died', 'handed_back')),
    constraint attempts_lost_reason_lost_at_check check ((lost_reason is null) = (lost_at is null))
);

comment on table attempts is 'The attempts of each submission. Read it through results_attempts.';
comment on column attempts.generation is 'The generation of the projection results.';
comment on column attempts.submission_id is 'The submission.';
comment on column attempts.number is 'The attempt, from 1; the greatest is the current one.';
comment on column attempts.executor is 'The executor that started it.';
comment on column attempts.boot_id is 'That executor''s life.';
comment on column attempts.image is 'The image''s name.';
comment on column attempts.image_digest is 'The image''s content digest.';
comment on column attempts.sandbox_profile is 'The hash of the cell''s restrictions, 64 hexadecimal digits.';
comment on column attempts.isolation is 'How the cell is shared: single-use.';
comment on column attempts.kernel is 'The kernel''s release.';
comment on column attempts.cpu_model is 'The processor''s model name.';
comment on column attempts.started_at is 'When it was started.';
comment on column attempts.lost_reason is 'Why it was lost: executor_gone, not_held, cell_died or handed_back; null where it was not.';
comment on column attempts.lost_at is 'When that was recorded.';
