-- Lists: the submissions of one principal, newest first, from a cursor on. Lane and language stand in the index so that
-- these filters are answered inside it. The state does not: it changes, and each change would then be written to every index.
--
-- The principal goes first: with the generation first, the planner may take this index for a look-up by submission_id
-- while the tables are small and not yet analyzed, and keep that plan.

create index submissions_principal_generation_accepted_sequence_idx
    on submissions (principal, generation, accepted_sequence desc, lane, language);
