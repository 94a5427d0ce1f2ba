-- The results of the current attempt of each submission, one row for each case judged so far.
--
-- The name is json and not text: its author may have put a NUL into it, which text cannot hold.

create table case_results (
    generation integer not null,
    submission_id uuid not null,
    case_number bigint not null,
    name json,
    verdict text not null,
    exit_code integer,
    exit_signal integer,
    cpu_us bigint not null,
    wall_us bigint not null,
    memory_kib bigint not null,
    output_sha256 text not null,
    points bigint not null,
    constraint case_results_generation_submission_id_case_number_key
        primary key (generation, submission_id, case_number),
    constraint case_results_verdict_check
        check (verdict in ('accepted', 'wrong_answer', 'compile_error', 'runtime_error', 'time_limit',
                           'memory_limit', 'output_limit', 'finished')),
    constraint case_results_exit_code_exit_signal_check check ((exit_code is null) <> (exit_signal is null))
);

comment on table case_results is 'The case results of each submission. Read it through results_case_results.';
comment on column case_results.generation is 'The generation of the projection results.';
comment on column case_results.submission_id is 'The submission.';
comment on column case_results.case_number is 'The case, from 0 without holes.';
comment on column case_results.name is 'What its author calls it: a JSON string, null where it has no name.';
comment on column case_results.verdict is 'The judgement of this case.';
comment on column case_results.exit_code is 'The exit code; null where a signal ended it.';
comment on column case_results.exit_signal is 'The signal that ended it; null where it exited.';
comment on column case_results.cpu_us is 'Processor time, in microseconds.';
comment on column case_results.wall_us is 'Time from start to end, in microseconds.';
comment on column case_results.memory_kib is 'The most memory in use at once, in KiB.';
comment on column case_results.output_sha256 is 'The hash of what was kept of its standard output, 64 hexadecimal digits.';
comment on column case_results.points is 'The points it earned.';
