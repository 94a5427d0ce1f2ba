-- One row for each accepted submission: the fold of its events, without attempts and case results.
--
-- Numbers that are unsigned in the ledger are bigint here. The columns compiled and outcome are json, not jsonb: jsonb
-- refuses the character NUL, which a stored text may hold, and these values are only ever read whole.

create table submissions (
    generation integer not null,
    submission_id uuid not null,
    principal text not null,
    lane text not null,
    pool text not null,
    language text not null,
    language_version text not null,
    origin text not null,
    state text not null,
    verdict text,
    accepted_at timestamptz not null,
    compiled_at timestamptz,
    cancellation_requested_at timestamptz,
    finished_at timestamptz,
    accepted_sequence bigint not null,
    sequence bigint not null,
    violations bigint not null,
    case_count bigint not null,
    suite_sha256 text,
    request_hash text not null,
    compiled json,
    outcome json,
    constraint submissions_generation_submission_id_key primary key (generation, submission_id),
    constraint submissions_lane_check check (lane in ('run', 'submit')),
    constraint submissions_origin_check check (origin in ('native', 'judge0', 'piston')),
    constraint submissions_state_check
        check (state in ('accepted', 'running', 'cancelling', 'completed', 'failed', 'cancelled')),
    constraint submissions_state_verdict_check check ((state = 'completed') = (verdict is not null)),
    constraint submissions_state_finished_at_check
        check ((state in ('completed', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint submissions_state_outcome_check check ((finished_at is null) = (outcome is null))
)
-- A submission is written about three times. With room on the page and no indexed column changed, an update touches no index.
with (fillfactor = 70);

comment on table submissions is 'The fold of each accepted submission. Read it through results_submissions.';
comment on column submissions.generation is 'The generation of the projection results.';
comment on column submissions.submission_id is 'The submission.';
comment on column submissions.principal is 'Who submitted it.';
comment on column submissions.lane is 'run or submit.';
comment on column submissions.pool is 'The pool of executors.';
comment on column submissions.language is 'The slug of the language.';
comment on column submissions.language_version is 'The version of its compiler or interpreter.';
comment on column submissions.origin is 'The API that it came through: native, judge0 or piston.';
comment on column submissions.state is 'accepted, running, cancelling, completed, failed or cancelled.';
comment on column submissions.verdict is 'The verdict of a completed one, as in outcome: accepted, wrong_answer, compile_error, runtime_error, time_limit, memory_limit, output_limit or finished.';
comment on column submissions.accepted_at is 'When it was accepted, by the stream''s clock, cut to microseconds as all times here.';
comment on column submissions.compiled_at is 'When the current attempt had compiled.';
comment on column submissions.cancellation_requested_at is 'When somebody asked to cancel it.';
comment on column submissions.finished_at is 'When it ended.';
comment on column submissions.accepted_sequence is 'The sequence of its accepted event: unique, and the order of lists.';
comment on column submissions.sequence is 'The sequence of the last event folded, legal or not: the version of the row.';
comment on column submissions.violations is 'How many illegal events were met and ignored.';
comment on column submissions.case_count is 'How many cases it has, 0 in lane run.';
comment on column submissions.suite_sha256 is 'The hash of its cases, 64 hexadecimal digits; null in lane run.';
comment on column submissions.request_hash is 'The hash of the request, 64 hexadecimal digits.';
comment on column submissions.compiled is 'What the compiler said in the current attempt: the JSON of events::event::Compiled.';
comment on column submissions.outcome is 'How it ended: the JSON of events::submission::Outcome. Its results are empty, they stand in case_results.';
