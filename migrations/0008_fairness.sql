-- What the second form of the events has added. Rows of the first form get what it meant: the program ran in the
-- version that was accepted, and all of its time counted.

drop view results_attempts;
drop view results_case_results;

alter table attempts add column language_version text;
update attempts set language_version = submissions.language_version
from submissions
where submissions.generation = attempts.generation and submissions.submission_id = attempts.submission_id;
alter table attempts alter column language_version set not null;

alter table case_results add column discounted_us bigint not null default 0;

comment on column attempts.language_version is 'The version of the language that ran it.';
comment on column case_results.discounted_us is 'The part of wall_us that did not count for the wall limit, in microseconds.';

create view results_attempts as
    select submission_id, number, executor, boot_id, image, image_digest, sandbox_profile, isolation, kernel, cpu_model,
           language_version, started_at, lost_reason, lost_at
    from attempts
    where generation = (select generation from projections where projection_name = 'results');

create view results_case_results as
    select submission_id, case_number, name, verdict, exit_code, exit_signal, cpu_us, wall_us, discounted_us,
           memory_kib, output_sha256, points
    from case_results
    where generation = (select generation from projections where projection_name = 'results');

comment on view results_attempts is 'Attempts; the columns are those of the table attempts.';
comment on view results_case_results is 'Case results; the columns are those of the table case_results.';
