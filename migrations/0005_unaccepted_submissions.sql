-- Submissions that have events but no accepted event. No writer of ours makes one; the count of their illegal events
-- is kept so that the rows stay the fold of the ledger even then. The row moves to submissions with the acceptance.

create table unaccepted_submissions (
    generation integer not null,
    submission_id uuid not null,
    violations bigint not null,
    constraint unaccepted_submissions_generation_submission_id_key primary key (generation, submission_id)
);

comment on table unaccepted_submissions is 'Submissions with events and without acceptance. Readers have no use for it.';
comment on column unaccepted_submissions.generation is 'The generation of the projection results.';
comment on column unaccepted_submissions.submission_id is 'The submission.';
comment on column unaccepted_submissions.violations is 'How many illegal events were met and ignored.';
