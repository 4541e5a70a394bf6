-- What devices are told because they meet a filter has a life of its own: it may wait for an approval or
-- a time, and be paused.
ALTER TABLE target_filters ADD COLUMN description TEXT;
ALTER TABLE target_filters ADD COLUMN auto_state TEXT;
ALTER TABLE target_filters ADD COLUMN auto_start_at INTEGER;
ALTER TABLE target_filters ADD COLUMN auto_decided_by TEXT;
ALTER TABLE target_filters ADD COLUMN auto_remark TEXT;
-- 1: the filter was made with the assignment, and goes with it.
ALTER TABLE target_filters ADD COLUMN auto_made INTEGER NOT NULL DEFAULT 0;
UPDATE target_filters SET auto_state = 'running' WHERE auto_set IS NOT NULL;
