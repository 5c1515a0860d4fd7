"""The SQL of the projector. Each statement takes its rows as one JSON value, however many they are.

A group of columns is replaced only by a fact from a later place in the events stream; what the
caller asked for is filled in whenever it becomes known, and replaced when a run that failed was put
back with another payload. Rows come ordered by id, so that two
projectors lock them in the same order.
"""

from __future__ import annotations

from typing import Final

WRITE_RUNS: Final = """
INSERT INTO runs AS known (
    run_id, queue, kind, actor, goal, autonomy_level, status, progress, current_step, attempt,
    created_at, started_at, completed_at, result, error, webhook_url, trace_id, context, spec,
    last_event_ms, last_event_seq, progress_event_ms, progress_event_seq,
    step_event_ms, step_event_seq, error_event_ms, error_event_seq)
SELECT
    run_id, queue, kind, actor, goal, autonomy_level, status, progress, current_step, attempt,
    to_timestamp(created_at), to_timestamp(started_at), to_timestamp(completed_at), result, error,
    webhook_url, trace_id, context, spec,
    last_event_ms, last_event_seq, progress_event_ms, progress_event_seq,
    step_event_ms, step_event_seq, error_event_ms, error_event_seq
FROM jsonb_to_recordset(CAST(CAST(:rows AS text) AS jsonb)) AS fresh (
    run_id text, queue text, kind text, actor text, goal text, autonomy_level text, status text,
    progress float8, current_step text, attempt int, created_at float8, started_at float8,
    completed_at float8, result jsonb, error text, webhook_url text, trace_id text, context jsonb,
    spec jsonb, last_event_ms bigint, last_event_seq bigint, progress_event_ms bigint,
    progress_event_seq bigint, step_event_ms bigint, step_event_seq bigint, error_event_ms bigint,
    error_event_seq bigint)
ORDER BY run_id
ON CONFLICT (run_id) DO UPDATE SET
    (kind, actor, goal, autonomy_level, webhook_url, trace_id, context, spec) = (
        SELECT asked.kind, asked.actor, asked.goal, asked.autonomy_level, asked.webhook_url, asked.trace_id,
            asked.context, asked.spec
        FROM (VALUES
            (excluded.kind, excluded.actor, excluded.goal, excluded.autonomy_level, excluded.webhook_url,
             excluded.trace_id, excluded.context, excluded.spec,
             excluded.last_event_ms, excluded.last_event_seq, 1),
            (known.kind, known.actor, known.goal, known.autonomy_level, known.webhook_url,
             known.trace_id, known.context, known.spec,
             known.last_event_ms, known.last_event_seq, 0)
        ) AS asked (kind, actor, goal, autonomy_level, webhook_url, trace_id, context, spec, ms, seq, is_new)
        ORDER BY spec IS NULL, ms DESC, seq DESC, is_new LIMIT 1),
    created_at = CASE
        WHEN excluded.spec IS NOT NULL THEN excluded.created_at
        WHEN known.spec IS NOT NULL THEN known.created_at
        ELSE LEAST(excluded.created_at, known.created_at) END,
    started_at = GREATEST(excluded.started_at, known.started_at),
    (status, attempt, completed_at, result, last_event_ms, last_event_seq) = (
        SELECT latest.status, latest.attempt, latest.completed_at, latest.result, latest.ms, latest.seq
        FROM (VALUES
            (excluded.status, excluded.attempt, excluded.completed_at, excluded.result,
             excluded.last_event_ms, excluded.last_event_seq, 1),
            (known.status, known.attempt, known.completed_at, known.result,
             known.last_event_ms, known.last_event_seq, 0)
        ) AS latest (status, attempt, completed_at, result, ms, seq, is_new)
        ORDER BY ms DESC, seq DESC, is_new LIMIT 1),
    (progress, progress_event_ms, progress_event_seq) = (
        SELECT latest.progress, latest.ms, latest.seq
        FROM (VALUES
            (excluded.progress, excluded.progress_event_ms, excluded.progress_event_seq, 1),
            (known.progress, known.progress_event_ms, known.progress_event_seq, 0)
        ) AS latest (progress, ms, seq, is_new)
        ORDER BY ms DESC, seq DESC, is_new LIMIT 1),
    (current_step, step_event_ms, step_event_seq) = (
        SELECT latest.step, latest.ms, latest.seq
        FROM (VALUES
            (excluded.current_step, excluded.step_event_ms, excluded.step_event_seq, 1),
            (known.current_step, known.step_event_ms, known.step_event_seq, 0)
        ) AS latest (step, ms, seq, is_new)
        ORDER BY ms DESC, seq DESC, is_new LIMIT 1),
    (error, error_event_ms, error_event_seq) = (
        SELECT latest.error, latest.ms, latest.seq
        FROM (VALUES
            (excluded.error, excluded.error_event_ms, excluded.error_event_seq, 1),
            (known.error, known.error_event_ms, known.error_event_seq, 0)
        ) AS latest (error, ms, seq, is_new)
        ORDER BY ms DESC, seq DESC, is_new LIMIT 1)
"""

WRITE_STEPS: Final = """
INSERT INTO run_steps (run_id, name, attempt, finished_at, inputs, result, event_ms, event_seq)
SELECT run_id, name, attempt, to_timestamp(finished_at), inputs, result, event_ms, event_seq
FROM jsonb_to_recordset(CAST(CAST(:rows AS text) AS jsonb)) AS fresh (
    run_id text, name text, attempt int, finished_at float8, inputs text, result jsonb,
    event_ms bigint, event_seq bigint)
ORDER BY run_id, name
ON CONFLICT (run_id, name) DO NOTHING
"""

NUMBER_STEPS: Final = """
UPDATE run_steps AS step SET position = numbered.position
FROM (
    SELECT run_id, name, row_number() OVER (PARTITION BY run_id ORDER BY event_ms, event_seq) AS position
    FROM run_steps WHERE run_id = ANY(CAST(:ids AS text[]))
) AS numbered
WHERE step.run_id = numbered.run_id AND step.name = numbered.name AND step.position <> numbered.position
"""

WRITE_DELIVERIES: Final = """
INSERT INTO deliveries AS known (
    delivery_id, run_id, event, url, status, attempts, error, created_at, completed_at,
    last_event_ms, last_event_seq, error_event_ms, error_event_seq)
SELECT
    delivery_id, run_id, event, url, status, attempts, error, to_timestamp(created_at),
    to_timestamp(completed_at), last_event_ms, last_event_seq, error_event_ms, error_event_seq
FROM jsonb_to_recordset(CAST(CAST(:rows AS text) AS jsonb)) AS fresh (
    delivery_id text, run_id text, event text, url text, status text, attempts int, error text,
    created_at float8, completed_at float8, last_event_ms bigint, last_event_seq bigint,
    error_event_ms bigint, error_event_seq bigint)
ORDER BY delivery_id
ON CONFLICT (delivery_id) DO UPDATE SET
    run_id = COALESCE(excluded.run_id, known.run_id),
    event = COALESCE(excluded.event, known.event),
    url = COALESCE(excluded.url, known.url),
    created_at = LEAST(excluded.created_at, known.created_at),
    (status, attempts, completed_at, last_event_ms, last_event_seq) = (
        SELECT latest.status, latest.attempts, latest.completed_at, latest.ms, latest.seq
        FROM (VALUES
            (excluded.status, excluded.attempts, excluded.completed_at,
             excluded.last_event_ms, excluded.last_event_seq, 1),
            (known.status, known.attempts, known.completed_at,
             known.last_event_ms, known.last_event_seq, 0)
        ) AS latest (status, attempts, completed_at, ms, seq, is_new)
        ORDER BY ms DESC, seq DESC, is_new LIMIT 1),
    (error, error_event_ms, error_event_seq) = (
        SELECT latest.error, latest.ms, latest.seq
        FROM (VALUES
            (excluded.error, excluded.error_event_ms, excluded.error_event_seq, 1),
            (known.error, known.error_event_ms, known.error_event_seq, 0)
        ) AS latest (error, ms, seq, is_new)
        ORDER BY ms DESC, seq DESC, is_new LIMIT 1)
"""

SET_ASIDE: Final = """
INSERT INTO facts_set_aside (queue, fact_id, event, job_id, reason, fields, set_aside_at)
VALUES (:queue, :fact_id, :event, :job_id, :reason, :fields, now())
ON CONFLICT (queue, fact_id) DO NOTHING
"""
