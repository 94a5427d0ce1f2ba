//! The statements. Each is one statement, so that what it returns is of one moment and of one generation.

/// One submission with its attempts and results, and the view's position; one row always.
pub const FIND: &str = "
select
    (select sequence from results_position) as position,
    s.submission_id, s.principal, s.lane, s.pool, s.language, s.language_version, s.origin, s.state,
    s.accepted_at, s.compiled_at, s.cancellation_requested_at, s.finished_at,
    s.accepted_sequence, s.sequence, s.case_count, s.suite_sha256, s.request_hash,
    s.compiled::text as compiled, s.outcome::text as outcome,
    (select json_agg(a order by a.number) from results_attempts a
      where a.submission_id = wanted.id)::text as attempts,
    (select json_agg(r order by r.case_number) from results_case_results r
      where r.submission_id = wanted.id)::text as results
from (select $1::uuid as id) wanted
left join results_submissions s on s.submission_id = wanted.id";

/// The newest submissions of one principal, before a sequence.
pub const LIST: &str = "
select
    submission_id, state, verdict, language, language_version, lane, accepted_at, finished_at,
    accepted_sequence, sequence,
    case when outcome #>> '{completed,exit}' is not null then (outcome #> '{completed,usage}')::text end as usage,
    (outcome #> '{completed,cases}')::text as cases
from results_submissions
where principal = $1
  and accepted_sequence < $2
  and ($3::text is null or state = $3)
  and ($4::text is null or language = $4)
  and ($5::text is null or lane = $5)
order by accepted_sequence desc
limit $6";
