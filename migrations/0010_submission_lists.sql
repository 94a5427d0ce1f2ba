-- What a list shows of an outcome, in columns of its own, so that a list reads no outcome (which may hold an output of 64
-- KiB); and one index for each filter of a list.
--
-- Rows from before get their columns from their outcome here. PostgreSQL's JSON operators refuse a value with a NUL, so it
-- is taken for another character, in texts that these columns do not hold.

alter table submissions
    add column cpu_us bigint,
    add column wall_us bigint,
    add column discounted_us bigint,
    add column memory_kib bigint,
    add column cases_total bigint,
    add column cases_passed bigint,
    add column points bigint,
    add column points_max bigint;

update submissions set
    cpu_us = (used ->> 'cpu_us')::bigint,
    wall_us = (used ->> 'wall_us')::bigint,
    -- Absent in the first form of the event, where all of the time counted.
    discounted_us = case when used is not null then coalesce((used ->> 'discounted_us')::bigint, 0) end,
    memory_kib = (used ->> 'memory_kib')::bigint,
    cases_total = (ended #>> '{completed,cases,total}')::bigint,
    cases_passed = (ended #>> '{completed,cases,passed}')::bigint,
    points = (ended #>> '{completed,cases,points}')::bigint,
    points_max = (ended #>> '{completed,cases,points_max}')::bigint
from (
    select of_generation, of_submission, ended,
           case when ended #>> '{completed,exit}' is not null then ended #> '{completed,usage}' end as used
    from (
        select generation as of_generation, submission_id as of_submission,
               replace(outcome::text, '\u0000', '\ufffd')::json as ended
        from submissions
        where state = 'completed'
    ) readable
) outcomes
where generation = of_generation and submission_id = of_submission;

alter table submissions
    add constraint submissions_usage_check check (num_nulls(cpu_us, wall_us, discounted_us, memory_kib) in (0, 4)),
    add constraint submissions_score_check check (num_nulls(cases_total, cases_passed, points, points_max) in (0, 4));

comment on column submissions.cpu_us is 'The processor time of its program, in microseconds, as in outcome; null if none ran to its end.';
comment on column submissions.wall_us is 'The wall time of its program, in microseconds.';
comment on column submissions.discounted_us is 'The part of wall_us that did not count for the wall limit, in microseconds.';
comment on column submissions.memory_kib is 'The most memory that its program had.';
comment on column submissions.cases_total is 'How many cases it was judged by, as in outcome; null without a judgement.';
comment on column submissions.cases_passed is 'How many of them gave the expected output.';
comment on column submissions.points is 'The points earned.';
comment on column submissions.points_max is 'The points of all cases.';

-- At the end, where `create or replace` may add columns.
create or replace view results_submissions as
    select submission_id, principal, lane, pool, language, language_version, origin, state, verdict, accepted_at,
           compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations, case_count,
           suite_sha256, request_hash, compiled, outcome, cpu_us, wall_us, discounted_us, memory_kib, cases_total,
           cases_passed, points, points_max
    from submissions
    where generation = (select generation from projections where projection_name = 'results');

-- One index for each filter: without one, a filter that few of a principal's rows meet would read all of them from the
-- heap. What else may be asked beside it stands behind, so that it is answered inside the index. The index by state costs
-- each change of a state a write to every index; the projector writes a short submission once or twice, in its batches.
create index submissions_principal_generation_state_accepted_sequence_idx
    on submissions (principal, generation, state, accepted_sequence desc, lane, language);
create index submissions_principal_generation_language_accepted_sequence_idx
    on submissions (principal, generation, language, accepted_sequence desc, lane);
create index submissions_principal_generation_lane_accepted_sequence_idx
    on submissions (principal, generation, lane, accepted_sequence desc);
drop index submissions_principal_generation_accepted_sequence_idx;
create index submissions_principal_generation_accepted_sequence_idx
    on submissions (principal, generation, accepted_sequence desc);
