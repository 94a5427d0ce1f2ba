-- What readers read: the live generation only, with the generation out of sight.
--
-- Each statement sees one generation whole. Whoever needs several statements to agree (a submission and its attempts and
-- results) runs them in one repeatable read transaction, or as one statement.

create view results_position as
    select checkpoints.sequence
    from projections
    join checkpoints using (projection_name, generation)
    where projection_name = 'results';

create view results_submissions as
    select submission_id, principal, lane, pool, language, language_version, origin, state, verdict, accepted_at,
           compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations, case_count,
           suite_sha256, request_hash, compiled, outcome
    from submissions
    where generation = (select generation from projections where projection_name = 'results');

create view results_attempts as
    select submission_id, number, executor, boot_id, image, image_digest, sandbox_profile, isolation, kernel, cpu_model,
           started_at, lost_reason, lost_at
    from attempts
    where generation = (select generation from projections where projection_name = 'results');

create view results_case_results as
    select submission_id, case_number, name, verdict, exit_code, exit_signal, cpu_us, wall_us, memory_kib,
           output_sha256, points
    from case_results
    where generation = (select generation from projections where projection_name = 'results');

comment on view results_position is 'One row: the sequence up to which the live generation has folded the ledger.';
comment on view results_submissions is 'Accepted submissions; the columns are those of the table submissions.';
comment on view results_attempts is 'Attempts; the columns are those of the table attempts.';
comment on view results_case_results is 'Case results; the columns are those of the table case_results.';
